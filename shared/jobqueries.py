"""What may be asked of the jobs table; nothing here changes a row (`shared.jobstore` does)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from shared.jobs import TERMINAL, UPLOAD_MAX_SECONDS, Job, JobStatus, Keep, Priority, Queued
from shared.ranges import AT_ONCE, each, merged, whole, within
from shared.tables import LATE_MICROSECONDS, clock, jobs

# literals, not parameters: only then can the planner use the partial indexes
QUEUED, RUNNING = (jobs.c.status == sa.literal_column(f"'{state}'") for state in ("queued", "running"))
HAS_IMAGE: sa.ColumnClause[bool] = sa.literal_column("image_present")
DEADLINE_SET = jobs.c.deadline_at.is_not(None)
SPENT_IMAGE = sa.and_(HAS_IMAGE, jobs.c.keep != sa.literal_column("'full'"), jobs.c.finished_at.is_not(None))
_ENDED = sa.and_(jobs.c.finished_at.is_not(None), jobs.c.erased_at.is_(None))
_OPEN = jobs.c.finished_at.is_(None)
# not as QUEUED: by their ids, not by the index of how long they have waited
_WAITING = sa.and_(_OPEN, jobs.c.status != sa.literal_column("'running'"))
_LATE = jobs.c.queued_at - jobs.c.received_at > sa.literal_column(str(LATE_MICROSECONDS))
JOB_COLUMNS = [jobs.c[name] for name in Job.__dataclass_fields__]
# made once: every poll and every wait asks it
_THESE = sa.select(*JOB_COLUMNS).where(jobs.c.id.in_(sa.bindparam("ids", expanding=True)))
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

    Every range of an index in which some may stand gives its newest: it costs what the page is long, whatever there is.

    Args:
        before_id: only jobs with smaller ids: the last id of the page before.
    """
    ranges = _ranges(connection, selection, before_id)
    found: list[Job] = []
    for first in range(0, len(ranges), AT_ONCE):
        ids = merged(ranges[first : first + AT_ONCE], size)
        found += map(job_of, connection.execute(sa.select(*JOB_COLUMNS).where(jobs.c.id.in_(ids))))
    return sorted(found, key=lambda job: job.id, reverse=True)[:size]


def _ranges(connection: sa.Connection, selection: Selection, before_id: str | None) -> list[sa.Select[str]]:
    """Selects that together find each job of a selection once, newest first; what each passes over is little."""
    status, after, before = selection.status, selection.created_after, selection.created_before
    wanted = sa.select(jobs.c.id).where(jobs.c.erased_at.is_(None))
    in_time = [*([jobs.c.received_at >= after] if after else []), *([jobs.c.received_at < before] if before else [])]
    if in_time:  # as one expression: of two bounds PostgreSQL thinks that they leave next to nothing
        wanted = wanted.where(whole(sa.and_(*in_time)))
    least, below = least_id(after) if after else "", [before_id] if before_id else []
    if selection.batch_id is not None or status is JobStatus.RUNNING:  # never more than a batch, or the workers, hold
        return [_few(wanted, selection, _unindexed(jobs.c.id), least, below)]
    ranges = []
    if before is not None:
        # an id is made as its image comes: soon after its request began, or the job is a late one
        soon = least_id(before + 2 * timedelta(microseconds=LATE_MICROSECONDS))
        latest = least_id(before + timedelta(seconds=UPLOAD_MAX_SECONDS))
        ranges = [_few(wanted.where(_LATE), selection, jobs.c.id, max(soon, least), [latest, *below])]
        below = [soon, *below]
    whose = {} if selection.caller is None else {jobs.c.caller: selection.caller}
    models = [selection.model] if selection.model is not None else _models_of(connection, selection.caller)
    for model in models:
        of_model = {**whose, jobs.c.model: model}
        if status in (None, JobStatus.QUEUED):
            part = _OPEN if status is None else _WAITING
            ranges.append(within(wanted.where(part), of_model, jobs.c.id, least, below))
        for state in TERMINAL if status is None else TERMINAL & {status}:
            in_state = {**of_model, jobs.c.status: state.value}
            ranges.append(within(wanted.where(_ENDED), in_state, jobs.c.id, least, below))
    return ranges


def _few(
    found: sa.Select[str], selection: Selection, id_: sa.ColumnElement[str], least: str, below: list[str]
) -> sa.Select[str]:
    """What is left of a few that an index has found, whatever else is asked."""
    wanted = {"caller": selection.caller, "model": selection.model, "batch_id": selection.batch_id}
    found = found.where(*(jobs.c[name] == value for name, value in wanted.items() if value is not None))
    if selection.status is JobStatus.RUNNING:
        found = found.where(RUNNING)
    elif selection.status is not None:
        found = found.where(_unindexed(jobs.c.status) == selection.status.value)
    return found.where(id_ >= least, *(id_ < one for one in below)).order_by(id_.desc())


def _unindexed(column: sa.Column[str]) -> sa.ColumnElement[str]:
    # an expression: no index that has the column is taken for it
    return sa.func.coalesce(column, "")


def _models_of(connection: sa.Connection, caller: str | None) -> list[str]:
    whose = [] if caller is None else [jobs.c.caller == caller]
    return sorted({model for part in (_OPEN, _ENDED) for model in connection.scalars(each(jobs.c.model, part, *whose))})


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
    found = sa.select(jobs.c.id).where(QUEUED).limit(most).subquery()
    return connection.scalars(sa.select(sa.func.count()).select_from(found)).one()


def unserved_ids(connection: sa.Connection, served: Sequence[str], before: datetime, size: int) -> list[str]:
    """Some jobs of other models than these that have waited since before `before`."""
    found: list[str] = []
    for model in connection.scalars(each(jobs.c.model, QUEUED)).all():
        if model not in served:
            rows = sa.select(jobs.c.id).where(QUEUED, jobs.c.model == model, jobs.c.queued_at < before)
            found += connection.scalars(rows.order_by(jobs.c.queued_at).limit(size))
    return found[:size]


def get(connection: sa.Connection, ids: Sequence[str]) -> list[Job]:
    """The jobs with these ids, erased ones included; unknown ids are left out."""
    return [job_of(row) for row in connection.execute(_THESE, {"ids": list(ids)})]


def queued_page(connection: sa.Connection, after_id: str, size: int) -> list[Queued]:
    """The next `size` queued jobs by id; an empty page is the end."""
    found: list[Queued] = []
    for model in connection.scalars(each(jobs.c.model, _OPEN)).all():
        rows = within(
            sa.select(*QUEUED_COLUMNS).where(_WAITING), {jobs.c.model: model}, jobs.c.id, after_id, oldest_first=True
        )
        found += map(queued_of, connection.execute(rows.limit(size)))
    return sorted(found, key=lambda job: job.id)[:size]


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
