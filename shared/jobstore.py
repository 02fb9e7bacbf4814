"""How a job changes state in SQL: one guarded UPDATE for each arrow of `shared.jobs.MOVES`.

Questions that change nothing are in `shared.jobqueries`. Every function works on the caller's connection and never
commits; the caller holds the transaction (`Database.write`), and what is to be told of a move is written in it
(`shared.telling`). A row that somebody else moved first is not changed and not reported.
Statements that touch several rows lock them in id order, so that two of them cannot deadlock.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shared import jobqueries, outbox
from shared.errors import DeadlineExceeded, ModelGone, WorkerLost
from shared.jobqueries import DEADLINE_SET, HAS_IMAGE, JOB_COLUMNS, QUEUED, RUNNING, SPENT_IMAGE, job_of
from shared.jobs import MAX_LOST, Claim, Job, JobStatus, NewJob, Outcome
from shared.moves import CLAIM, CLAIM_UNSUSPECTED, END, HAND_BACK, IN_HAND, move, requeue
from shared.tables import clock, deliveries, insert_unless_there, jobs
from shared.telling import tell

_AT_ONCE = 500


def add(connection: sa.Connection, arrivals: Sequence[NewJob]) -> set[str]:
    """— → queued: accepted uploads become rows; returns the ids of those that did.

    One whose id is there already, after an unclear commit, stays as it is; so does the first with an idempotency
    key or a client's id: `jobqueries.first_with` finds it.
    """
    rows = connection.execute(insert_unless_there(connection, jobs, jobs.c.id), [_row(job) for job in arrivals])
    return set(rows.scalars())


def _row(job: NewJob) -> dict[str, Any]:
    row = {name: getattr(job, name) for name in NewJob.__dataclass_fields__}
    return {**row, "priority": int(job.priority), "status": JobStatus.QUEUED, "deadline_at": job.deadline_at}


def claim(connection: sa.Connection, ids: Sequence[str], owner: str, lease_seconds: float) -> list[Claim]:
    """queued → running, in the order of `ids`.

    A job that was lost before is claimed only when asked for alone: if its image kills workers,
    it takes no batch mates down twice. One whose deadline has passed is not claimed: `expire` ends it.
    """
    statement = CLAIM if len(ids) == 1 else CLAIM_UNSUSPECTED
    asked = {"ids": list(ids), "by": owner, "lease_microseconds": int(lease_seconds * 1_000_000)}
    claims = {row.id: Claim(*row) for row in connection.execute(statement, asked)}
    tell(connection, claims, ended=False)
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


def finish(connection: sa.Connection, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """running → succeeded or failed; returns those that counted.

    An outcome whose claim is no longer the latest (canceled, given to another worker) is dropped.
    """
    held = _held(connection, [outcome.claim for outcome in outcomes])
    landed = [outcome for outcome in outcomes if outcome.claim in held]
    for name, statement in END.items():
        if ends := [_end(one) for one in landed if (one.error_code is None) == (name == "succeed")]:
            connection.execute(statement, ends)
    tell(connection, [outcome.claim.id for outcome in landed])
    return landed


def _end(outcome: Outcome) -> dict[str, Any]:
    told = {"answer": outcome.result, "code": outcome.error_code, "detail": outcome.error_detail}
    return {"ended": outcome.claim.id, **told}


def hand_back(connection: sa.Connection, claims: Sequence[Claim]) -> None:
    """running → queued, uncounted: the fault was not the job's."""
    if held := _held(connection, claims):
        connection.execute(HAND_BACK, {"ids": [claim.id for claim in held]})


def _held(connection: sa.Connection, claims: Sequence[Claim]) -> set[Claim]:
    """Which of these are still in the hand of who claimed them; they stay there until the transaction ends."""
    if not claims:
        return set()
    rows = connection.execute(IN_HAND, {"ids": [claim.id for claim in claims]})
    return {Claim(*row) for row in rows}.intersection(claims)


def requeue_owned_by(connection: sa.Connection, owner: str) -> list[Job]:
    """running → queued, or failed after too many losses: what a dead owner had in hand."""
    return _lose(connection, jobs.c.owner == owner)


def requeue_lapsed(connection: sa.Connection, now: datetime) -> list[Job]:
    """running → queued, or failed after too many losses: jobs whose lease ran out before `now`."""
    return _lose(connection, jobs.c.lease_until < now)


def abandon(connection: sa.Connection, served: Sequence[str], before: datetime) -> list[Job]:
    """queued → failed: some jobs of models other than `served` that have waited since before `before`."""
    ids = jobqueries.unserved_ids(connection, served, before, _AT_ONCE)
    unserved = jobs.c.id.in_(ids), jobs.c.model.not_in(served), jobs.c.queued_at < before
    statement = move("abandon", *unserved, skip_locked=True).values(
        finished_at=clock(), error_code=ModelGone.code, error_detail=ModelGone.title()
    )
    return _ended(connection, statement)


def expire(connection: sa.Connection) -> list[Job]:
    """queued → failed: some of the jobs whose deadline has passed."""
    late = sa.select(jobs.c.id).where(QUEUED, DEADLINE_SET, jobs.c.deadline_at <= clock()).limit(_AT_ONCE)
    ids = list(connection.scalars(late))
    statement = move("expire", jobs.c.id.in_(ids), jobs.c.deadline_at <= clock(), skip_locked=True).values(
        finished_at=clock(), error_code=DeadlineExceeded.code, error_detail=DeadlineExceeded.title()
    )
    return _ended(connection, statement)


def cancel(connection: sa.Connection, job_id: str) -> bool:
    """queued or running → canceled; False when the job had ended before."""
    return bool(cancel_all(connection, [job_id]))


def cancel_all(connection: sa.Connection, ids: Sequence[str]) -> set[str]:
    """The same for several; returns the ids of those that had not ended."""
    statement = move("cancel", jobs.c.id.in_(ids)).values(finished_at=clock(), owner=None, lease_until=None)
    gone = set(connection.scalars(statement.returning(jobs.c.id)))
    tell(connection, gone)
    return gone


def retry(connection: sa.Connection, job_id: str) -> bool:
    """failed or canceled → queued, as the next run; False when its state or its image's erasure forbids it.

    A deadline begins anew.
    """
    statement = requeue("retry", jobs.c.id == job_id, jobs.c.erased_at.is_(None), HAS_IMAGE).values(
        run=jobs.c.run + 1,
        lost_count=0,
        error_code=None,
        error_detail=None,
        finished_at=None,
        deadline_at=clock() + jobs.c.deadline_seconds * 1_000_000,
    )
    return connection.execute(statement).rowcount == 1


def erase(connection: sa.Connection, ids: Sequence[str]) -> None:
    """any → erased: cancels what has not ended, then leaves a tombstone; the image goes after the commit."""
    # locked before anything is asked: a retry between the two statements would queue a job that is then erased
    connection.execute(sa.select(jobs.c.id).where(jobs.c.id.in_(ids)).order_by(jobs.c.id).with_for_update())
    cancel_all(connection, ids)
    empty = dict.fromkeys(
        ("result", "filename", "metadata", "fingerprint", "error_detail", "webhook_url", "webhook_events")
    )
    connection.execute(
        sa.update(jobs)
        .where(jobs.c.id.in_(ids), jobs.c.erased_at.is_(None))
        .values(erased_at=clock(), version=jobs.c.version + 1, **empty)
    )
    outbox.forget(connection, deliveries.c.job_id.in_(ids))


def forget_images(connection: sa.Connection, ids: Sequence[str]) -> None:
    """Notes that these erased jobs' images are gone."""
    connection.execute(sa.update(jobs).where(jobs.c.id.in_(ids)).values(image_present=False))


def spend_images(connection: sa.Connection, size: int) -> list[str]:
    """Notes that ended jobs that keep no image have none; it is to be deleted after the commit, or swept."""
    chosen = sa.select(jobs.c.id).where(SPENT_IMAGE).limit(size).with_for_update(skip_locked=True)
    statement = sa.update(jobs).where(jobs.c.id.in_(chosen.scalar_subquery())).values(image_present=False)
    return list(connection.scalars(statement.returning(jobs.c.id)))


def forget_keys(connection: sa.Connection, before: datetime) -> None:
    """Frees some of the idempotency keys of jobs received before `before`."""
    old = sa.select(jobs.c.id).where(jobs.c.received_at < before, jobs.c.idempotency_key.is_not(None))
    ids = list(connection.scalars(old.order_by(jobs.c.received_at).limit(_AT_ONCE)))
    connection.execute(sa.update(jobs).where(jobs.c.id.in_(ids)).values(idempotency_key=None))


def _lose(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[Job]:
    # the ids first: a subquery that also orders by id would walk the primary key instead of the small index
    ids = list(connection.scalars(sa.select(jobs.c.id).where(RUNNING, condition).limit(_AT_ONCE)))
    lost = (jobs.c.id.in_(ids), condition)
    given_up = move("give_up", *lost, jobs.c.lost_count + 1 >= MAX_LOST, skip_locked=True).values(
        lost_count=jobs.c.lost_count + 1,
        finished_at=clock(),
        owner=None,
        lease_until=None,
        error_code=WorkerLost.code,
        error_detail=WorkerLost.title(),
    )
    requeued = requeue("requeue_lost", *lost, skip_locked=True).values(lost_count=jobs.c.lost_count + 1)
    ended = _ended(connection, given_up)
    return ended + [job_of(row) for row in connection.execute(requeued.returning(*JOB_COLUMNS))]


def _ended(connection: sa.Connection, statement: sa.Update) -> list[Job]:
    ended = [job_of(row) for row in connection.execute(statement.returning(*JOB_COLUMNS))]
    tell(connection, [job.id for job in ended])
    return ended
