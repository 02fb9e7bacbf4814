"""What may be asked of the jobs table; nothing here changes a row (`shared.jobstore` does)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from shared.jobs import UPLOAD_MAX_SECONDS, Job, JobStatus, Keep, Priority, Queued
from shared.tables import clock, jobs

# literals, not parameters: only then can the planner use the partial indexes
QUEUED, RUNNING = (jobs.c.status == sa.literal_column(f"'{state}'") for state in ("queued", "running"))
HAS_IMAGE: sa.ColumnClause[bool] = sa.literal_column("image_present")
DEADLINE_SET = jobs.c.deadline_at.is_not(None)
SPENT_IMAGE = sa.and_(HAS_IMAGE, jobs.c.keep != sa.literal_column("'full'"), jobs.c.finished_at.is_not(None))
UNSUCCEEDED = jobs.c.status != sa.literal_column("'succeeded'")
JOB_COLUMNS = [jobs.c[name] for name in Job.__dataclass_fields__]
QUEUED_COLUMNS = [jobs.c[name] for name in Queued.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which jobs a list shows; None sets no condition."""

    caller: str | None = None
    status: JobStatus | None = None
    model: str | None = None
    batch_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def page(connection: sa.Connection, selection: Selection, before_id: str | None, size: int) -> list[Job]:
    """The newest `size` jobs of a selection, erased ones left out; ids grow with time, so a page stays what it was.

    Args:
        before_id: only jobs with smaller ids: the last id of the page before.
    """
    conditions: list[sa.ColumnElement[bool]] = [jobs.c.erased_at.is_(None)]
    if before_id is not None:
        conditions.append(jobs.c.id < before_id)
    if selection.caller is not None:
        conditions.append(jobs.c.caller == selection.caller)
    if selection.status is not None:
        conditions.append(jobs.c.status == sa.literal_column(f"'{selection.status.value}'"))
        if selection.status is not JobStatus.SUCCEEDED:
            conditions.append(UNSUCCEEDED)
    if selection.model is not None:
        conditions.append(jobs.c.model == selection.model)
    if selection.batch_id is not None:
        conditions.append(jobs.c.batch_id == selection.batch_id)
    if selection.created_after is not None:
        conditions += [jobs.c.received_at >= selection.created_after, jobs.c.id >= least_id(selection.created_after)]
    if selection.created_before is not None:
        latest = selection.created_before + timedelta(seconds=UPLOAD_MAX_SECONDS)  # an id is made as its image comes
        conditions += [jobs.c.received_at < selection.created_before, jobs.c.id < least_id(latest)]
    rows = connection.execute(sa.select(*JOB_COLUMNS).where(*conditions).order_by(jobs.c.id.desc()).limit(size))
    return [job_of(row) for row in rows]


def first_with(
    connection: sa.Connection, caller: str, *, client_id: str | None = None, idempotency_key: str | None = None
) -> Job | None:
    """The job that a caller made under this id, else the one under this key."""
    for column, value in ((jobs.c.client_id, client_id), (jobs.c.idempotency_key, idempotency_key)):
        if value is not None:
            found = sa.select(*JOB_COLUMNS).where(jobs.c.caller == caller, column == value)
            if (row := connection.execute(found).first()) is not None:
                return job_of(row)
    return None


def versions(connection: sa.Connection, ids: Sequence[str]) -> dict[str, int]:
    """The version of each of these jobs; unknown ids are left out."""
    rows = connection.execute(sa.select(jobs.c.id, jobs.c.version).where(jobs.c.id.in_(ids)))
    return {row.id: row.version for row in rows}


def longest_wait_seconds(connection: sa.Connection, model: str) -> float:
    """For how long the job that has waited longest for this model has; 0 when none waits."""
    waiting = sa.select(jobs.c.queued_at).where(QUEUED, jobs.c.model == model)
    since = connection.scalars(waiting.order_by(jobs.c.queued_at).limit(1)).first()
    return 0.0 if since is None else (now(connection) - since).total_seconds()


def queued_count(connection: sa.Connection, most: int) -> int:
    """How many jobs wait; counting ends at `most`."""
    found = sa.select(jobs.c.id).where(QUEUED, UNSUCCEEDED).limit(most).subquery()
    return connection.scalars(sa.select(sa.func.count()).select_from(found)).one()


def get(connection: sa.Connection, ids: Sequence[str]) -> list[Job]:
    """The jobs with these ids, erased ones included; unknown ids are left out."""
    rows = connection.execute(sa.select(*JOB_COLUMNS).where(jobs.c.id.in_(ids)))
    return [job_of(row) for row in rows]


def queued_page(connection: sa.Connection, after_id: str, size: int) -> list[Queued]:
    """The next `size` queued jobs by id; an empty page is the end."""
    rows = sa.select(*QUEUED_COLUMNS).where(QUEUED, UNSUCCEEDED, jobs.c.id > after_id).order_by(jobs.c.id).limit(size)
    return [queued_of(row) for row in connection.execute(rows)]


def running_owners(connection: sa.Connection, prefix: str) -> list[str]:
    """The owners of running jobs whose name begins with `prefix`."""
    owners = sa.select(jobs.c.owner).distinct().where(RUNNING, jobs.c.owner.startswith(prefix, autoescape=True))
    return list(connection.scalars(owners))


def expired_ids(connection: sa.Connection, before: datetime, size: int, *, lock: bool = False) -> list[str]:
    """Jobs of which something is kept that ended before `before` and are not erased, oldest first.

    Args:
        lock: let nobody change them before the transaction ends; those that somebody else is changing are left out.
    """
    kept = jobs.c.keep != sa.literal_column("'nothing'")
    rows = sa.select(jobs.c.id).where(kept, jobs.c.finished_at < before, jobs.c.erased_at.is_(None))
    return _oldest(connection, rows, size, lock=lock)


def fleeting_ids(connection: sa.Connection, before: datetime, size: int, *, lock: bool = False) -> list[str]:
    """The same for jobs of which nothing is to be kept."""
    nothing = jobs.c.keep == sa.literal_column("'nothing'")
    rows = sa.select(jobs.c.id).where(nothing, jobs.c.finished_at < before, jobs.c.erased_at.is_(None))
    return _oldest(connection, rows, size, lock=lock)


def leftover_image_ids(connection: sa.Connection, after: str, size: int) -> list[str]:
    """The next erased jobs by id whose image was not yet seen to go."""
    rows = sa.select(jobs.c.id).where(jobs.c.erased_at.is_not(None), HAS_IMAGE, jobs.c.id > after)
    return list(connection.scalars(rows.order_by(jobs.c.id).limit(size)))


def without_image(connection: sa.Connection, ids: Sequence[str]) -> set[str]:
    """Which of these ids have no row that still claims an image."""
    rows = sa.select(jobs.c.id).where(jobs.c.id.in_(ids), HAS_IMAGE)
    return set(ids) - set(connection.scalars(rows))


def now(connection: sa.Connection) -> datetime:
    """The database's clock."""
    return connection.scalars(sa.select(clock())).one()


def _oldest(connection: sa.Connection, rows: sa.Select[str], size: int, *, lock: bool) -> list[str]:
    rows = rows.order_by(jobs.c.finished_at).limit(size)
    return list(connection.scalars(rows.with_for_update(skip_locked=True) if lock else rows))


def job_of(row: sa.Row[Any]) -> Job:
    """The job in a row that has `JOB_COLUMNS`."""
    enums: dict[str, Any] = {
        "status": JobStatus(row.status),
        "priority": Priority(row.priority),
        "keep": Keep(row.keep),
    }
    return Job(**{name: row._mapping[name] for name in Job.__dataclass_fields__ if name not in enums}, **enums)


def queued_of(row: sa.Row[Any]) -> Queued:
    """What the line has to know of the job in a row of `QUEUED_COLUMNS`."""
    return Queued(row.id, row.model, row.caller, Priority(row.priority))


def least_id(moment: datetime, apart_seconds: int = 1) -> str:
    """What no id that is made from `moment` on stands before: UUIDv7 begin with milliseconds (RFC 9562, 5.7).

    Args:
        apart_seconds: how far behind the clock may be that makes the ids.
    """
    return f"{max(0, int((moment.timestamp() - apart_seconds) * 1000)):012x}"
