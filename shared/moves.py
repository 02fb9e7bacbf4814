"""The UPDATEs behind `shared.jobstore`: one for each arrow of `shared.jobs.MOVES`, guarded by where it begins."""

import sqlalchemy as sa

from shared.jobqueries import RUNNING
from shared.jobs import MOVES, Claim
from shared.tables import clock, jobs

_IDS = jobs.c.id.in_(sa.bindparam("ids", expanding=True))
_CLAIM = [jobs.c[name] for name in Claim.__dataclass_fields__]


def move(name: str, *conditions: sa.ColumnElement[bool], skip_locked: bool = False) -> sa.Update:
    """The guarded UPDATE that takes the rows that meet these conditions along one arrow; locks them in id order."""
    arrow = MOVES[name]
    states = sa.or_(*(jobs.c.status == sa.literal_column(f"'{state}'") for state in arrow.sources))
    chosen = sa.select(jobs.c.id).where(states, *conditions).order_by(jobs.c.id)
    chosen = chosen.with_for_update(skip_locked=skip_locked)  # SQLite leaves it out: it has one writer at a time
    return (
        sa.update(jobs)
        .where(jobs.c.id.in_(chosen.scalar_subquery()), states)
        .values(status=arrow.target, version=jobs.c.version + 1)
    )


def requeue(name: str, *conditions: sa.ColumnElement[bool], skip_locked: bool = False) -> sa.Update:
    """The same for an arrow that ends in the line: nobody has the job in hand."""
    return move(name, *conditions, skip_locked=skip_locked).values(
        queued_at=clock(), claimed_at=None, owner=None, lease_until=None
    )


# a worker's statements are made once: to make and compile them took longer than to run them
_IN_TIME = sa.or_(jobs.c.deadline_at.is_(None), jobs.c.deadline_at > clock())
CLAIM, CLAIM_UNSUSPECTED = (
    move("claim", _IDS, _IN_TIME, *unsuspected, skip_locked=True)
    .values(
        attempt=jobs.c.attempt + 1,
        owner=sa.bindparam("by"),
        claimed_at=clock(),
        lease_until=clock() + sa.bindparam("lease_microseconds", type_=sa.BigInteger),
    )
    .returning(*_CLAIM)
    for unsuspected in ((), (jobs.c.lost_count == 0,))
)
# locks them: what is still in somebody's hand stays so until the transaction ends
IN_HAND = sa.select(*_CLAIM).where(_IDS, RUNNING).order_by(jobs.c.id).with_for_update()
HAND_BACK = requeue("hand_back", _IDS)
END = {
    name: sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("ended"), RUNNING)
    .values(
        status=MOVES[name].target,
        version=jobs.c.version + 1,
        finished_at=clock(),
        result=sa.bindparam("answer", type_=jobs.c.result.type),
        error_code=sa.bindparam("code"),
        error_detail=sa.bindparam("detail"),
        owner=None,
        lease_until=None,
    )
    for name in ("succeed", "fail")
}
