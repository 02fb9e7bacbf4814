"""Jobs, outcomes and databases for tests, made with defaults."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from shared import jobqueries, jobstore
from shared.database import Database
from shared.errors import TurnoError
from shared.jobs import Claim, Job, NewJob, Outcome, Priority

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
RESULT: dict[str, Any] = {"predicted_class": "rust", "stages_ms": {"decoded": 1.0, "inferred": 2.0}}


def new_job(job_id: str, **changes: Any) -> NewJob:
    """An arrival; everything but its id has a default."""
    entries: dict[str, Any] = {
        "id": job_id,
        "model": "leaf",
        "caller": "key-a",
        "priority": Priority.INTERACTIVE,
        "filename": "photo.jpg",
        "received_at": EPOCH,
        "queued_at": EPOCH,
    }
    return NewJob(**{**entries, **changes})


def add(database: Database, *ids: str, **changes: Any) -> None:
    """Queues jobs with these ids."""
    database.write(lambda connection: jobstore.add(connection, [new_job(id_, **changes) for id_ in ids]))


def claim(database: Database, *ids: str, owner: str = "host/boot/1", lease_seconds: float = 30) -> list[Claim]:
    """Claims jobs as one batch."""
    return database.write(lambda connection: jobstore.claim(connection, ids, owner, lease_seconds))


def finish(database: Database, *outcomes: Outcome) -> list[Outcome]:
    """Records outcomes; those that counted."""
    return database.write(lambda connection: jobstore.finish(connection, outcomes), durable=True)


def succeed(database: Database, *claims: Claim) -> list[Outcome]:
    """Records a result for each claim; those that counted."""
    return finish(database, *(Outcome(one, RESULT) for one in claims))


def lose(database: Database, job_id: str, times: int) -> list[Job]:
    """Lets a job be claimed by a worker that dies, so many times; what the last loss reported."""
    lost: list[Job] = []
    for _ in range(times):
        assert claim(database, job_id, owner="doomed")
        lost = database.write(lambda connection: jobstore.requeue_owned_by(connection, "doomed"))
    return lost


def get(database: Database, job_id: str) -> Job:
    """The job as SQL holds it."""
    (found,) = database.read(lambda connection: jobqueries.get(connection, [job_id]))
    return found


def statuses(database: Database, ids: Sequence[str]) -> dict[str, str]:
    """Where these jobs stand."""
    return {job.id: str(job.status) for job in database.read(lambda connection: jobqueries.get(connection, ids))}


def error_classes() -> list[type[TurnoError]]:
    """Every class of the tree, the root included."""
    found: list[type[TurnoError]] = [TurnoError]
    for parent in found:
        found.extend(parent.__subclasses__())
    return found
