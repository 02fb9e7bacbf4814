"""Who is told of a move: the deliveries that are written in the transaction that makes it."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shared import endpointstore, outbox
from shared.description import describe
from shared.hooks import Endpoint, Event, payload
from shared.jobqueries import JOB_COLUMNS, job_of
from shared.jobs import TERMINAL, Job, JobStatus
from shared.logs import get_logger
from shared.outbox import Message
from shared.tables import batches, clock, endpoints, jobs

log = get_logger(__name__)

_EVENTS = {
    JobStatus.RUNNING: Event.JOB_STARTED,
    JobStatus.SUCCEEDED: Event.JOB_SUCCEEDED,
    JobStatus.FAILED: Event.JOB_FAILED,
    JobStatus.CANCELED: Event.JOB_CANCELED,
}
_REGISTERED = sa.exists().where(
    endpoints.c.caller == jobs.c.caller, endpoints.c.url.is_not(None), endpoints.c.disabled_at.is_(None)
)
# made once: every claim and every end asks it
_HEARD_OF = (
    sa.select(*JOB_COLUMNS)
    .where(jobs.c.id.in_(sa.bindparam("ids", expanding=True)), sa.or_(jobs.c.webhook_url.is_not(None), _REGISTERED))
    .order_by(jobs.c.id)
)
_BATCHES_OF = (
    sa.select(batches.c.id)
    .where(batches.c.id.in_(sa.select(jobs.c.batch_id).where(jobs.c.id.in_(sa.bindparam("ids", expanding=True)))))
    .order_by(batches.c.id)
    .with_for_update()
)
_Address = tuple[str | None, str]  # of a registered webhook, or of the job itself: then without an id


def tell(connection: sa.Connection, ids: Collection[str], *, ended: bool = True) -> None:
    """Writes a delivery of each of these jobs' present state for everyone who is to hear of it.

    To be called in the transaction that brought them there, after it did: then a state and its deliveries are
    there together or not at all. A batch whose last job has ended is told of, too.

    Args:
        ended: whether it was their end.
    """
    if not ids:
        return
    if ended and connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        # of two transactions that end a batch's last two jobs, the second begins to look when the first is over
        connection.execute(_BATCHES_OF, {"ids": list(ids)})
    moved = [job_of(row) for row in connection.execute(_HEARD_OF, {"ids": list(ids)})]
    if not moved:
        return
    live = endpointstore.live_of(connection, {job.caller for job in moved})
    messages = [message for job in moved for message in _of_job(job, live)]
    for job, counts, versions in _last_of_their_batch(connection, moved, live):
        messages += _of_batch(connection, job, counts, versions, live)
    outbox.add(connection, messages)


def _of_job(job: Job, live: Sequence[Endpoint]) -> Iterator[Message]:
    event, at = _EVENTS[job.status], job.finished_at if job.terminal else job.claimed_at
    if addresses := _addresses(job, event, live):
        assert at is not None
        body = _body(event, at, describe(job))
        # a claim commits without waiting for the disk: a database that crashes may give its version out again
        message_id = f"{job.id}-{job.version}" + ("" if job.terminal else "-started")
        for endpoint_id, url in addresses:
            yield Message(message_id, event, job.caller, endpoint_id, url, body, job_id=job.id)


def _of_batch(
    connection: sa.Connection, job: Job, counts: dict[str, int], versions: int, live: Sequence[Endpoint]
) -> Iterator[Message]:
    batch = connection.execute(sa.select(batches, clock().label("now")).where(batches.c.id == job.batch_id)).one()
    here = f"/v1/batches/{batch.id}"
    ended = {status.value: counts.get(status, 0) for status in sorted(TERMINAL)}
    data = {
        "id": batch.id,
        "received_at": batch.received_at,
        "completed_at": batch.now,
        "total": batch.total,
        "counts": {**ended, "refused": len(batch.refused or ())},
        "urls": {
            "self": here,
            "jobs": f"/v1/jobs?batch={batch.id}",
            "results": f"{here}/results",
            "csv": f"{here}/results.csv",
        },
    }
    body = _body(Event.BATCH_COMPLETED, batch.now, data)
    for endpoint_id, url in _addresses(job, Event.BATCH_COMPLETED, live):
        # each move of its jobs counts: a batch that is completed again, after a retry, is told of under another id
        yield Message(
            f"{batch.id}-{versions}", Event.BATCH_COMPLETED, job.caller, endpoint_id, url, body, batch_id=batch.id
        )


def _last_of_their_batch(
    connection: sa.Connection, moved: Sequence[Job], live: Sequence[Endpoint]
) -> Iterator[tuple[Job, dict[str, int], int]]:
    """One job of each batch that these completed; with how many of its jobs stand where, and their versions' sum."""
    ended = {job.batch_id: job for job in moved if job.terminal and _addresses(job, Event.BATCH_COMPLETED, live)}
    ended.pop(None, None)
    if not ended:
        return
    every = sa.select(jobs.c.batch_id, jobs.c.status, sa.func.count(), sa.func.sum(jobs.c.version))
    rows = connection.execute(every.where(jobs.c.batch_id.in_(ended)).group_by(jobs.c.batch_id, jobs.c.status))
    found: dict[Any, dict[str, tuple[int, int]]] = {}
    for batch_id, status, number, versions in rows:
        found.setdefault(batch_id, {})[status] = number, int(versions)
    for batch_id, by_status in sorted(found.items()):
        if by_status.keys() <= TERMINAL:
            counts = {status: number for status, (number, _) in by_status.items()}
            yield ended[batch_id], counts, sum(versions for _, versions in by_status.values())


def _body(event: Event, at: datetime, data: dict[str, Any]) -> str:
    told = {name: value for name, value in data.items() if not name.startswith("webhook_")}  # those are for their owner
    try:
        return payload(event, at, told)
    except ValueError as error:  # no message is worth a job that cannot end
        log.error("a message could not be written in full", about=data["id"], error=str(error))
        return payload(event, at, {"id": data["id"], "omitted": [name for name in told if name != "id"]})


def _addresses(job: Job, event: Event, live: Sequence[Endpoint]) -> list[_Address]:
    found: list[_Address] = [
        (one.id, one.url or "") for one in live if one.caller == job.caller and event in one.events
    ]
    if job.webhook_url and event in (job.webhook_events or "").split(","):
        found.append((None, job.webhook_url))
    return found
