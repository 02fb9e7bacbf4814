"""A database by its address alone: every table filled by raw SQL, read row by row, described."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from shared.jobs import JobStatus

T = TypeVar("T")
Row = dict[str, Any]
Rows = dict[tuple[str, str], Row]

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
_HOOK = {"webhook_url": "https://own.example/ñ?a=%20", "webhook_events": "job.succeeded,job.failed"}
_DELIVERY = {
    "message_id": "succeeded-3",
    "event": "job.succeeded",
    "caller": "key-ä",
    "url": "https://own.example/",
    "destination": "key-ä https://own.example",
    "created_at": 10**15,
    "attempts": [{"at": "2026-01-01T00:00:00+00:00", "status": 500, "excerpt": "¡no! \U0001f342"}],
    "payload": '{"type":"job.succeeded"}',
}
_SECRET = {"caller": "key-ä", "secret": "whsec_" + "A" * 44, "created_at": 7}
# beside the jobs, what each other table has once it is there
_OTHERS: dict[str, list[Row]] = {
    "batches": [
        {"id": "batch", "caller": "key-ä", "received_at": 7, "total": 2, "refused": [{"index": 1}], "fingerprint": "f"},
        {"id": "erased", "caller": "key-ä", "received_at": 7, "total": 1, "refused": [], "erased_at": 9},
    ],
    "keys": [{"id": "key-ä", "name": "Ana", "digest": "d" * 64, "scopes": "admin", "created_at": 7, "revoked_at": 9}],
    "endpoints": [
        {**_SECRET, "id": "default", "events": "", "former_secret": "whsec_" + "B" * 44, "former_until": 2**52},
        {**_SECRET, "id": "live", "events": "job.failed", "url": "https://live.example/"},
        {**_SECRET, "id": "off", "events": "", "url": "https://off.example/", "disabled_at": 9},
    ],
    "deliveries": [
        {**_DELIVERY, "id": "pending", "state": "pending", "next_attempt_at": 2**52, "job_id": "succeeded", "tries": 3},
        {**_DELIVERY, "id": "succeeded", "state": "succeeded", "endpoint_id": "live", "batch_id": "batch"},
        {**_DELIVERY, "id": "failed", "state": "failed", "given_up_because": "It’s gone.", "payload": None},
    ],
}


def run(url: str, work: Callable[[sa.Connection], T]) -> T:
    """What `work` returns, once it is committed."""
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


def _tables(connection: sa.Connection) -> dict[str, sa.Table]:
    found = sa.MetaData()
    found.reflect(connection)
    return {name: table for name, table in found.tables.items() if name in ("jobs", *_OTHERS)}


def fill(url: str) -> None:
    """Jobs in every state, and rows of every other table, with what the tables have columns for.

    A new column that must have a value, or a new table, comes here.
    """
    assert set(_STATES) == set(JobStatus)
    jobs = {**{state: {"status": state, **values} for state, values in _STATES.items()}, "erased": _ERASED}
    wanted = {"jobs": [{"id": id_, **_COMMON, **_HOOK, **values} for id_, values in jobs.items()], **_OTHERS}

    def insert(connection: sa.Connection) -> None:
        tables = _tables(connection)
        assert "jobs" in tables
        for name, table in tables.items():
            for row in wanted[name]:
                connection.execute(sa.insert(table), {column: row[column] for column in row if column in table.c})

    run(url, insert)


def rows(url: str) -> Rows:
    """Every row by its table and its id; none where there is no table."""

    def select(connection: sa.Connection) -> Rows:
        return {
            (name, row["id"]): dict(row)
            for name, table in _tables(connection).items()
            for row in connection.execute(sa.select(table)).mappings()
        }

    return run(url, select)


def assert_kept(before: Rows, after: Rows) -> None:
    """The same rows, with the same values in the columns that are still there."""
    assert after.keys() == before.keys()
    for key, row in after.items():
        kept = row.keys() & before[key].keys()
        assert {name: row[name] for name in kept} == {name: before[key][name] for name in kept}


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
