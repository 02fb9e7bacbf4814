"""What a database reads for each statement that it is sent: SQLite counts its steps, PostgreSQL explains its plans."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from shared.database import Database, migrate
from tests.postgres import run_outside_transactions

ENDED, QUEUED, RUNNING, DELIVERED, PENDING = 30_000, 20_000, 32, 30_000, 10_000
START = 1_760_000_000_000_000  # of the first job, in microseconds; one came in every second
STEP = 1_000_000
_STEPS_MOST = 60_000  # of SQLite's machine: 1500 rows take 45,000, a walk of twenty thousand 80,000
_ROWS_MOST = 2_500  # in one node of a plan of PostgreSQL's
_STEPS_AT_ONCE = 100
_EXPLAIN = (
    "LOAD 'auto_explain'", "SET auto_explain.log_min_duration = 0", "SET auto_explain.log_analyze = on",
    "SET auto_explain.log_timing = off", "SET auto_explain.log_format = json", "SET client_min_messages = log",
)  # fmt: skip
_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last})",
    "postgresql": "WITH n AS (SELECT CAST(i AS bigint) AS i FROM generate_series(0, {last}) AS i)",
}
_MOMENT = f"({START} + i * {STEP})"


@dataclass
class Read:
    """A statement, and why it read too much; None: it did not."""

    statement: str
    too_much: str | None = None


def job_id(number: int) -> str:
    """The id of the job with this number."""
    return f"{(START + number * STEP) // 1000:012x}{number:020x}"


def _hex(kind: str, number: str, width: int) -> str:
    return f"printf('%0{width}x', {number})" if kind == "sqlite" else f"lpad(to_hex({number}), {width}, '0')"


def _rows(kind: str) -> dict[str, tuple[int, dict[str, str]]]:
    ended, caller = f"i < {ENDED}", "'key-' || (i % 10)"
    common = {"id": f"{_hex(kind, f'{_MOMENT} / 1000', 12)} || {_hex(kind, 'i', 20)}"}
    then = f"CASE WHEN {ended} THEN {_MOMENT} + 9 END"
    state = (
        f"CASE WHEN i >= {ENDED + RUNNING} THEN 'queued' WHEN i >= {ENDED} THEN 'running' "
        "WHEN i % 3000 = 0 THEN 'failed' ELSE 'succeeded' END"
    )
    running = f"i >= {ENDED} AND i < {ENDED + RUNNING}"
    return {
        "jobs": (ENDED + QUEUED, {
            **common, "model": f"CASE WHEN i < 3 THEN 'rare' WHEN i < {ENDED // 3} THEN 'former' ELSE 'leaf' END",
            "caller": caller, "priority": "0", "status": state, "received_at": _MOMENT, "queued_at": f"{_MOMENT} + 5",
            "claimed_at": then, "finished_at": then, "batch_id": "CASE WHEN i % 2 = 0 THEN 'b' || (i / 40) END",
            "batch_index": "i % 40", "owner": f"CASE WHEN {running} THEN 'host/boot/1' END",
            "lease_until": f"CASE WHEN {running} THEN {_MOMENT} END",
            "erased_at": f"CASE WHEN i >= {ENDED // 2} AND i < {ENDED // 2 + 2000} THEN {_MOMENT} + 10 END",
            "image_present": "i < 0", "idempotency_key": "CASE WHEN i % 2 = 0 THEN 'k' || i END",
        }),
        "batches": (ENDED // 20, {"id": "'b' || i", "caller": caller, "received_at": _MOMENT, "total": "20"}),
        "endpoints": (2000, {
            "id": "'e' || i", "caller": "'key-' || i", "url": "'https://dead.example/'", "events": "'job.succeeded'",
            "secret": "''", "created_at": "i",
        }),
        "deliveries": (DELIVERED + PENDING, {
            **common, "message_id": "'m'", "event": "'job.succeeded'", "caller": caller, "job_id": "'j' || (i / 2)",
            "batch_id": "'b' || (i / 3)", "endpoint_id": "'e' || (i % 10)", "url": "'https://dead.example/'",
            "destination": f"{caller} || ' https://dead.example'", "created_at": _MOMENT, "attempts": "'[]'",
            "state": f"CASE WHEN i >= {DELIVERED} THEN 'pending' WHEN i % 2000 = 0 THEN 'failed' ELSE 'succeeded' END",
            "next_attempt_at": f"CASE WHEN i >= {DELIVERED} THEN {_MOMENT} END", "payload": "'{}'",
        }),
    }  # fmt: skip


def fill(url: str) -> Database:
    """A database with many jobs and deliveries that are over, and many that wait; each question is about few."""
    migrate(url)
    database = Database(url)
    kind = database.engine.dialect.name
    with database.engine.begin() as connection:
        for table, (number, columns) in _rows(kind).items():
            numbers = _NUMBERS[kind].format(last=number - 1)
            values = ", ".join(columns.values())
            insert = f"{numbers} INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM n"
            connection.execute(sa.text(insert))
    if kind == "postgresql":
        run_outside_transactions(url, "VACUUM ANALYZE")
    return database


@contextmanager
def watched(database: Database, settings: tuple[str, ...] = ()) -> Iterator[list[Read]]:
    """Notes the statements that are sent meanwhile, and what the database reads for them.

    Args:
        settings: statements that are sent to PostgreSQL first.
    """
    seen: list[Read] = []
    watch = _count_steps if database.engine.dialect.name == "sqlite" else _explain
    database.engine.dispose()
    listeners = list(watch(seen, settings))
    for name, listener in listeners:
        sa.event.listen(database.engine, name, listener)
    try:
        yield seen
    finally:
        for name, listener in listeners:
            sa.event.remove(database.engine, name, listener)
        database.engine.dispose()


def _count_steps(seen: list[Read], _settings: tuple[str, ...]) -> Iterator[tuple[str, Callable[..., None]]]:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += _STEPS_AT_ONCE
        if steps > _STEPS_MOST and seen:
            seen[-1].too_much = f"{steps} steps"
        return 0

    def begin(connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal steps
        steps = 0
        seen.append(Read(statement))

    yield "connect", lambda connection, _: connection.set_progress_handler(count, _STEPS_AT_ONCE)
    yield "before_cursor_execute", begin


def _explain(seen: list[Read], settings: tuple[str, ...]) -> Iterator[tuple[str, Callable[..., None]]]:
    def note(diagnostic: Any) -> None:
        _, found, plan = diagnostic.message_primary.partition("plan:\n")
        if found:
            explained = json.loads(plan)
            seen.append(Read(explained["Query Text"], _too_much(explained["Plan"])))

    def connect(connection: Any, _record: object) -> None:
        connection.prepare_threshold = 0
        connection.autocommit = True
        for statement in (*_EXPLAIN, *settings):
            connection.execute(statement)
        connection.autocommit = False
        connection.add_notice_handler(note)

    yield "connect", connect


def _too_much(plan: dict[str, Any]) -> str | None:
    nodes = [plan]
    for node in nodes:
        nodes += node.get("Plans", [])
        removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        rows = (node["Actual Rows"] + removed) * node["Actual Loops"]
        walks = node["Node Type"] == "Seq Scan" and node["Relation Name"] in ("jobs", "deliveries")
        if walks or rows > _ROWS_MOST:
            return f"{node['Node Type']} of {rows} rows by {node.get('Index Name', node.get('Relation Name'))}"
    return None
