"""A database by its address alone: filled by raw SQL, read row by row, described."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from shared.jobs import JobStatus

T = TypeVar("T")
Row = dict[str, Any]

_COMMON = {
    "model": "leaf",
    "caller": "key-ä",
    "priority": 10,
    "filename": "photo.jpg",
    "received_at": 7,
    "queued_at": 8,
}
_ENDED = {"finished_at": 10**15, "attempt": 2, "claimed_at": 9, "version": 5}
_STATES: dict[str, Row] = {
    "queued": {},
    "running": {"attempt": 1, "owner": "host/boot/1", "lease_until": 2**52, "claimed_at": 9, "version": 2},
    "succeeded": {**_ENDED, "result": {"predicted_class": "rust", "predictions": [0.1, 0.9]}},
    "failed": {**_ENDED, "run": 2, "lost_count": 3, "error_code": "worker-lost", "error_detail": "It’s lost."},
    "canceled": {"finished_at": 9, "version": 2},
}
_ERASED = {"status": "succeeded", **_ENDED, "filename": None, "erased_at": 10**15 + 1, "image_present": False}


def run(url: str, work: Callable[[sa.Connection], T]) -> T:
    """What `work` returns, once it is committed."""
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


def _table(connection: sa.Connection) -> sa.Table | None:
    found = sa.MetaData()
    found.reflect(connection)
    return found.tables.get("jobs")


def fill(url: str) -> None:
    """Jobs in every state, with what the table has columns for; a new column that must have a value comes here."""
    assert set(_STATES) == set(JobStatus)
    wanted = {**{state: {"status": state, **values} for state, values in _STATES.items()}, "erased": _ERASED}

    def insert(connection: sa.Connection) -> None:
        table = _table(connection)
        assert table is not None
        for id_, values in wanted.items():
            row = {"id": id_, **_COMMON, **values}
            connection.execute(sa.insert(table), {name: row[name] for name in row if name in table.c})

    run(url, insert)


def rows(url: str) -> dict[str, Row]:
    """Every job's row by its id; none where there is no table."""

    def select(connection: sa.Connection) -> dict[str, Row]:
        table = _table(connection)
        found = [] if table is None else connection.execute(sa.select(table)).mappings()
        return {row["id"]: dict(row) for row in found}

    return run(url, select)


def assert_kept(before: dict[str, Row], after: dict[str, Row]) -> None:
    """The same rows, with the same values in the columns that are still there."""
    assert after.keys() == before.keys()
    for id_, row in after.items():
        kept = row.keys() & before[id_].keys()
        assert {name: row[name] for name in kept} == {name: before[id_][name] for name in kept}


def shape(url: str) -> dict[str, Row]:
    """Tables, columns and indexes as the database describes them."""

    def describe(connection: sa.Connection) -> dict[str, Row]:
        found = sa.inspect(connection)
        return {
            name: {
                "columns": [json.dumps(column, default=repr) for column in found.get_columns(name)],
                "key": found.get_pk_constraint(name),
                "indexes": sorted(json.dumps(index, default=str) for index in found.get_indexes(name)),
            }
            for name in sorted(found.get_table_names())
        }

    return run(url, describe)
