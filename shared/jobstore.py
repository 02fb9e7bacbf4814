"""How a job changes state in SQL: one guarded UPDATE for each arrow of `shared.jobs.MOVES`.

Every function works on the caller's connection and never commits; the caller holds the transaction
(`Database.write`). A row that somebody else moved first is not changed and not reported.
Statements that touch several rows lock them in id order, so that two of them cannot deadlock.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from shared.errors import ModelGone, WorkerLost
from shared.jobs import MAX_LOST, MOVES, Claim, Job, JobStatus, NewJob, Outcome, Priority
from shared.tables import clock, jobs

_LOSE_AT_ONCE = 500
# literals, not parameters: only then can the planner use the partial indexes
_QUEUED, _RUNNING = (jobs.c.status == sa.literal_column(f"'{state}'") for state in ("queued", "running"))
_HAS_IMAGE: sa.ColumnClause[bool] = sa.literal_column("image_present")  # as the partial index has it
_JOB_COLUMNS = [jobs.c[name] for name in Job.__dataclass_fields__]


def add(connection: sa.Connection, arrivals: Sequence[NewJob]) -> None:
    """— → queued: accepted uploads become rows; one that is there already, after an unclear commit, stays."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        insert(jobs).on_conflict_do_nothing(index_elements=["id"]),
        [
            {
                "id": job.id,
                "model": job.model,
                "caller": job.caller,
                "priority": int(job.priority),
                "filename": job.filename,
                "status": JobStatus.QUEUED,
                "received_at": job.received_at,
                "queued_at": job.queued_at,
            }
            for job in arrivals
        ],
    )


def claim(connection: sa.Connection, ids: Sequence[str], owner: str, lease_seconds: float) -> list[Claim]:
    """queued → running, in the order of `ids`.

    A job that was lost before is claimed only when asked for alone: if its image kills workers,
    it takes no batch mates down twice.
    """
    suspects_too = sa.true() if len(ids) == 1 else jobs.c.lost_count == 0
    rows = connection.execute(
        _move("claim", jobs.c.id.in_(ids), suspects_too, skip_locked=True)
        .values(
            attempt=jobs.c.attempt + 1, owner=owner, claimed_at=clock(), lease_until=clock(plus_seconds=lease_seconds)
        )
        .returning(*(jobs.c[name] for name in Claim.__dataclass_fields__))
    )
    claims = {row.id: Claim(**row._mapping) for row in rows}
    return [claims[id_] for id_ in ids if id_ in claims]


def renew(connection: sa.Connection, claims: Sequence[Claim], owner: str, lease_seconds: float) -> None:
    """Keeps claimed jobs claimed: the lease ends `lease_seconds` from now."""
    connection.execute(
        sa.update(jobs)
        .where(
            jobs.c.id.in_([claim.id for claim in claims]),
            jobs.c.owner == owner,
            jobs.c.status == JobStatus.RUNNING,
        )
        .values(lease_until=clock(plus_seconds=lease_seconds))
    )


def finish(connection: sa.Connection, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """running → succeeded or failed; returns those that counted.

    An outcome whose claim is no longer the latest (canceled, given to another worker) is dropped.
    """
    landed = []
    for outcome in sorted(outcomes, key=lambda outcome: outcome.claim.id):
        move = "succeed" if outcome.error_code is None else "fail"
        changed = connection.execute(
            _move(move, *_in_hand(outcome.claim)).values(
                finished_at=clock(),
                result=outcome.result,
                error_code=outcome.error_code,
                error_detail=outcome.error_detail,
                owner=None,
                lease_until=None,
            )
        )
        if changed.rowcount:
            landed.append(outcome)
    return landed


def hand_back(connection: sa.Connection, claims: Sequence[Claim]) -> None:
    """running → queued, uncounted: the fault was not the job's."""
    for one in sorted(claims, key=lambda claim: claim.id):
        connection.execute(_requeue("hand_back", *_in_hand(one)))


def _in_hand(one: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    return jobs.c.id == one.id, jobs.c.attempt == one.attempt, jobs.c.owner == one.owner


def running_owners(connection: sa.Connection, prefix: str) -> list[str]:
    """The owners of running jobs whose name begins with `prefix`."""
    owners = sa.select(jobs.c.owner).distinct().where(_RUNNING, jobs.c.owner.startswith(prefix, autoescape=True))
    return list(connection.scalars(owners))


def requeue_owned_by(connection: sa.Connection, owner: str) -> list[Job]:
    """running → queued, or failed after too many losses: what a dead owner had in hand."""
    return _lose(connection, jobs.c.owner == owner)


def requeue_lapsed(connection: sa.Connection, now: datetime) -> list[Job]:
    """running → queued, or failed after too many losses: jobs whose lease ran out before `now`."""
    return _lose(connection, jobs.c.lease_until < now)


def abandon(connection: sa.Connection, served: Sequence[str], before: datetime) -> list[Job]:
    """queued → failed: jobs of models other than `served` that have waited since before `before`."""
    statement = _move("abandon", jobs.c.model.not_in(served), jobs.c.queued_at < before, skip_locked=True).values(
        finished_at=clock(), error_code=ModelGone.code, error_detail=ModelGone.title()
    )
    return [_job(row) for row in connection.execute(statement.returning(*_JOB_COLUMNS))]


def cancel(connection: sa.Connection, job_id: str) -> bool:
    """queued or running → canceled; False when the job had ended before."""
    statement = _move("cancel", jobs.c.id == job_id).values(finished_at=clock(), owner=None, lease_until=None)
    return connection.execute(statement).rowcount == 1


def retry(connection: sa.Connection, job_id: str) -> bool:
    """failed or canceled → queued, as the next run; False when its state or its erasure forbids it."""
    statement = _requeue("retry", jobs.c.id == job_id, jobs.c.erased_at.is_(None)).values(
        run=jobs.c.run + 1, lost_count=0, error_code=None, error_detail=None, finished_at=None
    )
    return connection.execute(statement).rowcount == 1


def erase(connection: sa.Connection, ids: Sequence[str]) -> None:
    """any → erased: cancels what has not ended, then leaves a tombstone; the image goes after the commit."""
    for id_ in sorted(ids):
        cancel(connection, id_)
        connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == id_, jobs.c.erased_at.is_(None))
            .values(erased_at=clock(), result=None, filename=None, error_detail=None, version=jobs.c.version + 1)
        )


def forget_images(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Notes that these erased jobs' images are gone."""
    connection.execute(sa.update(jobs).where(jobs.c.id.in_(ids)).values(image_present=False))


def get(connection: sa.Connection, ids: Sequence[str]) -> list[Job]:
    """The jobs with these ids, erased ones included; unknown ids are left out."""
    rows = connection.execute(sa.select(*_JOB_COLUMNS).where(jobs.c.id.in_(ids)))
    return [_job(row) for row in rows]


def terminal_ids(connection: sa.Connection, ids: Sequence[str]) -> set[str]:
    """Which of these jobs have ended, were erased, or do not exist."""
    waiting = sa.select(jobs.c.id).where(
        jobs.c.id.in_(ids), jobs.c.status.in_([JobStatus.QUEUED, JobStatus.RUNNING]), jobs.c.erased_at.is_(None)
    )
    return set(ids) - set(connection.scalars(waiting))


def queued_page(connection: sa.Connection, after_id: str, size: int) -> list[NewJob]:
    """The next `size` queued jobs by id; an empty page is the end."""
    columns = [jobs.c[name] for name in NewJob.__dataclass_fields__]
    rows = connection.execute(sa.select(*columns).where(_QUEUED, jobs.c.id > after_id).order_by(jobs.c.id).limit(size))
    return [NewJob(**{**row._mapping, "priority": Priority(row.priority)}) for row in rows]


def expired_ids(connection: sa.Connection, before: datetime, size: int) -> list[str]:
    """Jobs that ended before `before` and are not erased, oldest first."""
    rows = sa.select(jobs.c.id).where(jobs.c.finished_at < before, jobs.c.erased_at.is_(None))
    return list(connection.scalars(rows.order_by(jobs.c.finished_at).limit(size)))


def leftover_image_ids(connection: sa.Connection, size: int) -> list[str]:
    """Erased jobs whose image was not yet seen to go."""
    rows = sa.select(jobs.c.id).where(jobs.c.erased_at.is_not(None), _HAS_IMAGE).limit(size)
    return list(connection.scalars(rows))


def without_image(connection: sa.Connection, ids: Sequence[str]) -> set[str]:
    """Which of these ids have no row that still claims an image."""
    rows = sa.select(jobs.c.id).where(jobs.c.id.in_(ids), _HAS_IMAGE)
    return set(ids) - set(connection.scalars(rows))


def now(connection: sa.Connection) -> datetime:
    """The database's clock."""
    return connection.scalars(sa.select(clock())).one()


def _move(name: str, *conditions: sa.ColumnElement[bool], skip_locked: bool = False) -> sa.Update:
    move = MOVES[name]
    states = sa.or_(*(jobs.c.status == sa.literal_column(f"'{state}'") for state in move.sources))
    chosen = sa.select(jobs.c.id).where(states, *conditions).order_by(jobs.c.id)
    chosen = chosen.with_for_update(skip_locked=skip_locked)  # SQLite leaves it out: it has one writer at a time
    return (
        sa.update(jobs)
        .where(jobs.c.id.in_(chosen.scalar_subquery()), states)
        .values(status=move.target, version=jobs.c.version + 1)
    )


def _requeue(name: str, *conditions: sa.ColumnElement[bool], skip_locked: bool = False) -> sa.Update:
    return _move(name, *conditions, skip_locked=skip_locked).values(
        queued_at=clock(), claimed_at=None, owner=None, lease_until=None
    )


def _lose(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[Job]:
    # the ids first: a subquery that also orders by id would walk the primary key instead of the small index
    ids = list(connection.scalars(sa.select(jobs.c.id).where(_RUNNING, condition).limit(_LOSE_AT_ONCE)))
    lost = (jobs.c.id.in_(ids), condition)
    given_up = _move("give_up", *lost, jobs.c.lost_count + 1 >= MAX_LOST, skip_locked=True).values(
        lost_count=jobs.c.lost_count + 1,
        finished_at=clock(),
        owner=None,
        lease_until=None,
        error_code=WorkerLost.code,
        error_detail=WorkerLost.title(),
    )
    requeued = _requeue("requeue_lost", *lost, skip_locked=True).values(lost_count=jobs.c.lost_count + 1)
    return [
        _job(row)
        for statement in (given_up, requeued)
        for row in connection.execute(statement.returning(*_JOB_COLUMNS))
    ]


def _job(row: sa.Row[Any]) -> Job:
    return Job(**{**row._mapping, "status": JobStatus(row.status), "priority": Priority(row.priority)})
