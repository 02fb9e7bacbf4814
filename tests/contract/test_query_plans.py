"""The statements that run every second read a small index, however many jobs the table has gathered."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from shared import batchstore, jobqueries, jobstore
from shared.database import Database, migrate
from shared.jobqueries import Selection
from shared.jobs import JobStatus
from shared.tables import jobs
from tests.shared.make import EPOCH

_OLD = 20_000


@pytest.fixture(scope="module", params=["never analyzed", "analyzed"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A SQLite file with many ended jobs and a few of each other kind."""
    url = f"sqlite:///{tmp_path_factory.mktemp('plans') / 'turno.sqlite'}"
    migrate(url)
    database = Database(url)
    old = {"status": "succeeded", "finished_at": EPOCH}
    kinds: list[tuple[int, dict[str, Any]]] = [
        (_OLD, {**old, "erased_at": EPOCH, "image_present": False}),
        (500, old),
        (40, {**old, "erased_at": EPOCH}),
        (40, {"status": "queued"}),
        (16, {"status": "running", "owner": "host/boot/1", "lease_until": EPOCH}),
    ]
    common = {"model": "leaf", "caller": "key-a", "priority": 0, "received_at": EPOCH, "queued_at": EPOCH}
    empty = {"finished_at": None, "erased_at": None, "image_present": True, "owner": None, "lease_until": None}
    kinds = [(number, {**common, **empty, **kind}) for number, kind in kinds]
    rows = [kind for number, kind in kinds for _ in range(number)]
    numbered = [{**row, "id": f"{number:032}"} for number, row in enumerate(rows)]
    database.write(lambda connection: connection.execute(sa.insert(jobs), numbered))
    if request.param == "analyzed":
        database.write(lambda connection: connection.execute(sa.text("ANALYZE")))
    yield database
    database.close()


_LATER = EPOCH + timedelta(days=1)
_IDS = [f"{number:032}" for number in range(_OLD + 540, _OLD + 556)]
STATEMENTS: dict[str, tuple[Callable[[sa.Connection], Any], str]] = {
    "claim": (lambda connection: jobstore.claim(connection, _IDS, "me", 30), "(id=?)"),
    "queued_page": (lambda connection: jobqueries.queued_page(connection, _IDS[0], 10), "ix_jobs_unsucceeded"),
    "requeue_lapsed": (lambda connection: jobstore.requeue_lapsed(connection, _LATER), "ix_jobs_running"),
    "requeue_owned_by": (lambda connection: jobstore.requeue_owned_by(connection, "host/boot/1"), "ix_jobs_owner"),
    "running_owners": (lambda connection: jobqueries.running_owners(connection, "host/"), "ix_jobs_"),
    "expired_ids": (lambda connection: jobqueries.expired_ids(connection, _LATER, 10), "ix_jobs_kept"),
    "leftover_image_ids": (
        lambda connection: jobqueries.leftover_image_ids(connection, "", 10),
        "ix_jobs_leftover_image",
    ),
    "fleeting_ids": (lambda connection: jobqueries.fleeting_ids(connection, _LATER, 10), "ix_jobs_kept_an_hour"),
    "spend_images": (lambda connection: jobstore.spend_images(connection, 10), "ix_jobs_spent_image"),
    "forget_keys": (lambda connection: jobstore.forget_keys(connection, _LATER), "ix_jobs_remembered_key"),
    "expire": (jobstore.expire, "ix_jobs_deadline"),
    "longest_wait_seconds": (
        lambda connection: jobqueries.longest_wait_seconds(connection, "leaf"),
        "ix_jobs_waiting_since",
    ),
    "queued_count": (lambda connection: jobqueries.queued_count(connection, 10), "ix_jobs_unsucceeded"),
    "first_with a key": (
        lambda connection: jobqueries.first_with(connection, "key-a", idempotency_key="one"),
        "uq_jobs_key",
    ),
    "first_with an id": (lambda connection: jobqueries.first_with(connection, "key-a", client_id="one"), "uq_jobs_cl"),
    "files of a batch": (lambda connection: batchstore.files(connection, "one"), "ix_jobs_batch"),
    "cancel a batch": (lambda connection: batchstore.cancel(connection, "one"), "ix_jobs_batch"),
    "a caller's page": (
        lambda connection: jobqueries.page(connection, Selection("key-a"), _IDS[0], 10),
        "ix_jobs_caller ",
    ),
    "a caller's succeeded": (
        lambda connection: jobqueries.page(connection, Selection("key-a", JobStatus.SUCCEEDED), None, 10),
        "ix_jobs_caller ",
    ),
    "a caller's failed": (
        lambda connection: jobqueries.page(connection, Selection("key-a", JobStatus.FAILED), None, 10),
        "ix_jobs_caller_unsucceeded",
    ),
    "everybody's failed": (
        lambda connection: jobqueries.page(connection, Selection(status=JobStatus.FAILED), None, 10),
        "ix_jobs_unsucceeded",
    ),
    "everybody's page": (lambda connection: jobqueries.page(connection, Selection(), _IDS[0], 10), "ix_jobs_shown"),
    "a batch's page": (
        lambda connection: jobqueries.page(connection, Selection(batch_id="one"), None, 10),
        "ix_jobs_batch",
    ),
    "abandon": (lambda connection: jobstore.abandon(connection, ["leaf"], _LATER), "ix_jobs_unsucceeded"),
    "cancel": (lambda connection: jobstore.cancel(connection, _IDS[0]), "(id=?)"),
    "versions": (lambda connection: jobqueries.versions(connection, _IDS), "(id=?)"),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_searches_an_index_and_never_walks_the_table(name: str, filled: Database) -> None:
    statement, index = STATEMENTS[name]
    plans = _plans(filled, statement)
    assert plans
    assert any(index in step for plan in plans for step in plan), plans
    for plan in plans:
        walks = [step for step in plan if step.startswith("SCAN jobs") and "USING" not in step]
        walks += [step for step in plan if "sqlite_autoindex" in step and "=?" not in step]
        assert walks == []


class _Undo(Exception):
    """Takes the statement's changes back."""


def _plans(database: Database, work: Callable[[sa.Connection], Any]) -> list[list[str]]:
    """The plan of each statement that `work` runs."""
    plans: list[list[str]] = []

    def explain(connection: sa.Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "jobs" in statement and not statement.startswith("EXPLAIN"):
            own = connection.connection.cursor()
            own.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append([row[3] for row in own.fetchall()])
            own.close()

    def run(connection: sa.Connection) -> None:
        sa.event.listen(database.engine, "before_cursor_execute", explain)
        try:
            work(connection)
        finally:
            sa.event.remove(database.engine, "before_cursor_execute", explain)
        raise _Undo

    with pytest.raises(_Undo):
        database.write(run)
    return plans


def test_the_plans_are_those_of_sqlites_file(tmp_path: Path, filled: Database) -> None:
    def walk(connection: sa.Connection) -> None:
        connection.execute(sa.select(jobs.c.id).where(jobs.c.filename == "a"))

    assert any(step.startswith("SCAN jobs") for step in _plans(filled, walk)[0])
