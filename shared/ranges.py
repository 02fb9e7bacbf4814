"""How little is read of an index: the first of each of its ranges, and its values one by one; never all of them.

The planner of PostgreSQL, which does not know when in time a state is rare, might walk the primary key for the first
of a range. Comparisons of rows rather than of single columns leave it the index that has these columns, and no other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

Prefix = Mapping[sa.Column[Any], str]  # the columns of an index before the id, and their values
AT_ONCE = 200  # ranges in one statement; SQLite takes 500


def within(
    found: sa.Select[Any],
    prefix: Prefix,
    id_: sa.Column[str],
    above: str = "",
    below: Sequence[str] = (),
    *,
    oldest_first: bool = False,
) -> Any:
    """What is found within one range of an index, in its order.

    Args:
        found: a select whose conditions let the index be used, and pass over little.
        above: an id that is less than all.
        below: ids that are greater than all.
    """
    columns, values = [*prefix, id_], [sa.literal(value) for value in prefix.values()]
    found = found.where(sa.tuple_(*columns) > sa.tuple_(*values, sa.literal(above)))
    if below:
        found = found.where(sa.tuple_(*columns) < sa.tuple_(*values, sa.literal(min(below))))
    else:
        found = found.where(sa.tuple_(*prefix) <= sa.tuple_(*values))
    return found.order_by(*(columns if oldest_first else [column.desc() for column in columns]))


def merged(ranges: Sequence[sa.Select[Any]], size: int, *, oldest_first: bool = False) -> Any:
    """The first `size` ids of all ranges, each of which selects ids in this order.

    In one statement: what moves from range to range meanwhile is in one of them.
    """
    few: sa.ColumnElement[int] = sa.literal_column(str(int(size)))  # PostgreSQL takes a parameter for a tenth of all
    every = sa.union_all(*(sa.select(one.limit(few).subquery().c.id) for one in ranges))
    return every.order_by(sa.asc("id") if oldest_first else sa.desc("id")).limit(few)


def each(column: sa.Column[str], *conditions: sa.ColumnElement[bool]) -> Any:
    """The values of an index's column: from each to the next, past however many rows have it."""
    first = sa.select(column).where(*conditions).order_by(column).limit(1)
    walk = sa.select(first.scalar_subquery().label("value")).cte(recursive=True)
    following = first.where(column > walk.c.value).scalar_subquery()
    walk = walk.union_all(sa.select(following).where(walk.c.value.is_not(None)))
    return sa.select(walk.c.value).where(walk.c.value.is_not(None))


def whole(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """The same condition as one expression: no index is taken for it, and PostgreSQL takes it for true of half."""
    return sa.case((condition, sa.true()), else_=sa.false())
