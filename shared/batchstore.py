"""Batches in SQL: how one begins, what is counted of it, how it ends; nothing here commits (`Database.write`)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shared import jobstore, outbox
from shared.jobqueries import JOB_COLUMNS, QUEUED_COLUMNS, job_of, queued_of
from shared.jobs import Batch, Job, NewJob, Queued, Refused
from shared.tables import batches, clock, deliveries, insert_unless_there, jobs

_COLUMNS = [batches.c[name] for name in Batch.__dataclass_fields__]
_WAITING = jobs.c.status.in_([sa.literal_column("'queued'"), sa.literal_column("'running'")])
_AT_ONCE = 500
_LOOKED_AT = 200  # batches in a look for empty ones: some milliseconds, every half minute
ERASED = "erased"  # beside the states of a job


@dataclass(frozen=True, slots=True)
class File:
    """A file that became a job."""

    id: str
    index: int
    filename: str | None
    status: str  # as of a job, or erased


def add(connection: sa.Connection, batch: Batch, arrivals: Sequence[NewJob]) -> bool:
    """A batch and its jobs become rows together; False when its idempotency key has one already."""
    row = {**asdict(batch), "refused": [asdict(one) for one in batch.refused]}
    landed = connection.execute(insert_unless_there(connection, batches).values(row).returning(batches.c.id)).first()
    if landed is None:
        return False
    jobstore.add(connection, arrivals)
    return True


def get(connection: sa.Connection, batch_id: str) -> Batch | None:
    """The batch with this id, erased or not."""
    return _one(connection, batches.c.id == batch_id)


def first_with(connection: sa.Connection, caller: str, idempotency_key: str) -> Batch | None:
    """The batch that a caller made under this key."""
    return _one(connection, batches.c.caller == caller, batches.c.idempotency_key == idempotency_key)


def files(connection: sa.Connection, batch_id: str) -> list[File]:
    """Its jobs in the order in which their files were sent, without what became of them."""
    status = sa.case((jobs.c.erased_at.is_not(None), sa.literal(ERASED)), else_=jobs.c.status)
    found = sa.select(jobs.c.id, jobs.c.batch_index, jobs.c.filename, status).where(jobs.c.batch_id == batch_id)
    return [File(*row) for row in connection.execute(found.order_by(jobs.c.batch_index))]


def members(connection: sa.Connection, batch_id: str) -> list[tuple[int, Job]]:
    """Its jobs, each with its place among the files as they were sent, in that order."""
    found = sa.select(jobs.c.batch_index, *JOB_COLUMNS).where(jobs.c.batch_id == batch_id)
    return [(row.batch_index, job_of(row)) for row in connection.execute(found.order_by(jobs.c.batch_index))]


def cancel(connection: sa.Connection, batch_id: str) -> list[Queued]:
    """Cancels what has not ended; returns those jobs."""
    waiting = _jobs(connection, batch_id, _WAITING)
    gone = jobstore.cancel_all(connection, [job.id for job in waiting])
    return [job for job in waiting if job.id in gone]


def erase(connection: sa.Connection, batch_id: str) -> list[Queued]:
    """Erases the batch and all of its jobs, whose images the courier then removes; returns the jobs."""
    every = _jobs(connection, batch_id)
    jobstore.erase(connection, [job.id for job in every])
    _bury(connection, batches.c.id == batch_id)
    outbox.forget(connection, deliveries.c.batch_id == batch_id)
    return every


def erase_emptied(connection: sa.Connection, before: datetime, since: datetime | None = None) -> datetime | None:
    """Erases those of some batches received before `before` of which every job is erased.

    Args:
        since: look at none that was received earlier.

    Returns:
        Since when to look next time; None when this was the last of them.
    """
    kept = sa.select(batches.c.id, batches.c.received_at).where(batches.c.erased_at.is_(None))
    kept = kept.where(batches.c.received_at < before)
    kept = kept if since is None else kept.where(batches.c.received_at >= since)
    page = connection.execute(kept.order_by(batches.c.received_at).limit(_LOOKED_AT)).all()
    # asked of each batch by itself: PostgreSQL might read all jobs to answer for all at once
    left = sa.select(jobs.c.id).where(jobs.c.batch_id == batches.c.id, jobs.c.erased_at.is_(None)).limit(1)
    looked_at = sa.select(batches.c.id, left.scalar_subquery().label("left"))
    rows = connection.execute(looked_at.where(batches.c.id.in_([row.id for row in page]))).all()
    if ids := [row.id for row in rows if row.left is None]:
        _bury(connection, batches.c.id.in_(ids))
        outbox.forget(connection, deliveries.c.batch_id.in_(ids))
    return page[-1].received_at if len(page) == _LOOKED_AT else None


def forget_keys(connection: sa.Connection, before: datetime) -> None:
    """Frees some of the idempotency keys of batches received before `before`."""
    old = sa.select(batches.c.id).where(batches.c.received_at < before, batches.c.idempotency_key.is_not(None))
    ids = list(connection.scalars(old.order_by(batches.c.received_at).limit(_AT_ONCE)))
    connection.execute(sa.update(batches).where(batches.c.id.in_(ids)).values(idempotency_key=None))


def _jobs(connection: sa.Connection, batch_id: str, *conditions: sa.ColumnElement[bool]) -> list[Queued]:
    found = sa.select(*QUEUED_COLUMNS).where(jobs.c.batch_id == batch_id, *conditions).order_by(jobs.c.id)
    return [queued_of(row) for row in connection.execute(found)]


def _bury(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> None:
    statement = sa.update(batches).where(batches.c.erased_at.is_(None), *conditions)
    connection.execute(statement.values(erased_at=clock(), refused=[], fingerprint=None))


def _one(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> Batch | None:
    row = connection.execute(sa.select(*_COLUMNS).where(*conditions)).first()
    if row is None:
        return None
    entries: dict[str, Any] = {**row._mapping, "refused": [Refused(**one) for one in row.refused or ()]}
    return Batch(**entries)
