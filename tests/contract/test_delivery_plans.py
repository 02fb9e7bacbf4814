"""What tells of jobs, and sends and lists it, reads small indexes, however much has gathered; on every database."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from shared import endpointstore, jobqueries, outbox
from shared.database import Database, migrate
from shared.hooks import DeliveryState
from shared.outbox import DeliveryFilter
from shared.tables import deliveries
from shared.telling import tell
from tests.postgres import fresh_database, run_outside_transactions
from tests.shared.make import EPOCH

_OVER, _WAITING = 20_000, 20_000
_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < LAST)",
    "postgresql": "WITH n AS (SELECT i FROM generate_series(0, LAST) AS i)",
}
_ID = {"sqlite": "printf('%032d', i)", "postgresql": "lpad(CAST(i AS text), 32, '0')"}
# a thousand callers with twenty deliveries each that are over; ten of them have 2000 that wait for a dead server
_CALLER = f"'key-' || (i % CASE WHEN i >= {_OVER} THEN 10 ELSE 1000 END)"
_ROWS: list[tuple[str, int, dict[str, str]]] = [
    ("jobs", _OVER, {
        "model": "'leaf'", "caller": "'key-' || (i % 10)", "priority": "0", "status": "'succeeded'", "version": "3",
        "received_at": "i", "queued_at": "i", "finished_at": "i", "batch_id": "'b' || (i / 20)", "batch_index": "i",
        "run": "1", "attempt": "1", "lost_count": "0", "keep": "'full'",
    }),
    ("batches", _OVER // 20, {"caller": "'key-0'", "received_at": "i", "total": "20"}),
    ("endpoints", 2000, {
        "caller": "'key-' || i", "url": "'https://dead.example/'", "events": "'job.succeeded,batch.completed'",
        "secret": "''", "created_at": "i",
    }),
    ("deliveries", _OVER + _WAITING, {
        "message_id": "'m'", "event": "'job.succeeded'", "caller": _CALLER, "job_id": "'j' || (i / 2)",
        "batch_id": "'b' || (i / 3)", "endpoint_id": "'e' || (i % 4000)", "url": "'https://dead.example/'",
        "destination": f"{_CALLER} || ' https://dead.example'", "created_at": "i", "attempts": "'[]'",
        "state": f"CASE WHEN i >= {_OVER} THEN 'pending' WHEN i % 200 = 0 THEN 'failed' ELSE 'succeeded' END",
        "next_attempt_at": f"CASE WHEN i >= {_OVER} THEN i END", "payload": "'{}'",
    }),
]  # fmt: skip
_CALLERS = [f"key-{number}" for number in range(10)]
_FULL = [f"{caller} https://dead.example" for caller in _CALLERS]
_IDS = [f"{number:032}" for number in range(_OVER - 16, _OVER)]
_EARLY, _LATE = (EPOCH.replace(year=1970) + timedelta(milliseconds=number) for number in (1, 2))


@pytest.fixture(scope="module", params=["sqlite", "sqlite, analyzed", "postgres"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with many jobs and deliveries, of which each question is about few."""
    if request.param != "postgres":
        url, analyze = f"sqlite:///{tmp_path_factory.mktemp('plans') / 'turno.sqlite'}", "ANALYZE"
        yield from _filled(url, analyze if "analyzed" in request.param else "")
        return
    with fresh_database(request.getfixturevalue("postgres_url")) as url:
        yield from _filled(url, "VACUUM ANALYZE")


def _filled(url: str, analyze: str) -> Iterator[Database]:
    migrate(url)
    database = Database(url)
    kind = database.engine.dialect.name
    for table, number, values in _ROWS:
        columns = {"id": "'b' || i" if table == "batches" else _ID[kind], **values}
        numbers = _NUMBERS[kind].replace("LAST", str(number - 1))
        insert = f"{numbers} INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM n"
        with database.engine.begin() as connection:
            connection.execute(sa.text(insert))
    if analyze:
        run_outside_transactions(url, analyze)
    yield database
    database.close()


def _page(before_id: str | None = None, **conditions: Any) -> Callable[[sa.Connection], Any]:
    return lambda connection: outbox.page(connection, DeliveryFilter(**conditions), before_id, 50)


def _due(*without: list[str]) -> Callable[[sa.Connection], Any]:
    return lambda connection: outbox.due(connection, jobqueries.now(connection), (without[0], without[1]), 100)


def _take_and_record(connection: sa.Connection) -> None:
    now = jobqueries.now(connection)
    taken = outbox.take(connection, [f"{number:032}" for number in range(_OVER, _OVER + 100)], now, now)
    assert len(taken) == 100
    outbox.record(connection, taken[0], outbox.Attempt(now, 1, 204), None)


def _range(state: DeliveryState | None) -> Callable[[sa.Connection], Any]:
    return lambda connection: outbox.in_range(connection, "e1", _EARLY, _LATE, state, "")


STATEMENTS: dict[str, tuple[Callable[[sa.Connection], Any], list[str]]] = {
    "tell": (lambda it: tell(it, _IDS), ["ix_endpoints_", "ix_jobs_batch"]),
    "live_of": (lambda it: endpointstore.live_of(it, _CALLERS), ["ix_endpoints_"]),
    "of_caller": (lambda it: endpointstore.of_caller(it, "key-1"), ["ix_endpoints_"]),
    "default_of": (lambda it: endpointstore.signer(it, None, "key-1"), ["_endpoints_"]),
    "due": (_due([], []), ["ix_deliveries_due"]),
    "due but for full servers": (_due(_FULL, []), ["ix_deliveries_due"]),
    "due but for crowding callers": (_due(_FULL[:1], _CALLERS), ["ix_deliveries_due"]),
    "take and record": (_take_and_record, []),
    "a caller's page": (_page(caller="key-500"), ["ix_deliveries_caller"]),
    "a caller's next page": (_page(_IDS[0], caller="key-500"), ["ix_deliveries_caller"]),
    "a caller's failed": (_page(caller="key-500", state=DeliveryState.FAILED), ["ix_deliveries_caller_unsucceeded"]),
    "everybody's failed": (_page(state=DeliveryState.FAILED), ["ix_deliveries_unsucceeded"]),
    "everybody's next page": (_page(_IDS[0]), []),
    "a webhook's page": (_page(endpoint_id="e1"), ["ix_deliveries_endpoint"]),
    "a webhook's failed": (_page(endpoint_id="e1", state=DeliveryState.FAILED), ["ix_deliveries_"]),
    "a job's page": (_page(job_id="j1"), ["ix_deliveries_job"]),
    "give up": (lambda it: outbox.give_up(it, f"{_OVER:032}", "for a test"), []),
    "a range": (_range(None), ["ix_deliveries_endpoint"]),
    "a range's failed": (_range(DeliveryState.FAILED), ["ix_deliveries_"]),
    "send again": (lambda it: outbox.send_again(it, _IDS), []),
    "forget jobs": (lambda it: outbox.forget(it, deliveries.c.job_id.in_(["j1", "j2"])), ["ix_deliveries_job"]),
    "forget a batch": (lambda it: outbox.forget(it, deliveries.c.batch_id == "b1"), ["ix_deliveries_batch"]),
    "purge": (lambda it: outbox.purge(it, _EARLY), ["ix_deliveries_kept"]),
}  # fmt: skip


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_searches_an_index_and_walks_neither_jobs_nor_deliveries(name: str, filled: Database) -> None:
    work, indexes = STATEMENTS[name]
    plans = _plans(filled, work)
    assert plans
    for index in indexes:
        assert any(index in step for step in plans), plans
    assert [step for step in plans if step.startswith("walks")] == []


def test_deliveries_that_are_passed_over_are_not_looked_at(filled: Database) -> None:
    now = filled.read(jobqueries.now)
    assert filled.read(lambda connection: outbox.due(connection, now, (_FULL, []), 100)) == []
    if filled.engine.dialect.name == "postgresql":  # SQLite reads indexes first, and does not say so
        assert any("Index Only Scan" in step for step in _plans(filled, _due(_FULL, _CALLERS[:1])))


def test_the_delivery_that_is_due_for_longest_is_the_first_of_an_index(filled: Database) -> None:
    plans = _plans(filled, outbox.late_seconds)
    assert any("ix_deliveries_due" in step for step in plans)
    assert [step for step in plans if "Sort" in step or "TEMP B-TREE" in step or "Seq Scan" in step] == []


class _Undo(Exception):
    """Takes the statements' changes back."""


def _plans(database: Database, work: Callable[[sa.Connection], Any]) -> list[str]:
    """The steps of each statement that `work` runs, but of what it writes anew; "walks" where one reads a table."""
    steps: list[str] = []
    of = _sqlite_steps if database.engine.dialect.name == "sqlite" else _postgres_steps

    def explain(connection: sa.Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not statement.startswith(("INSERT", "SET")):
            own = connection.connection.cursor()
            steps.extend(of(own, statement, parameters))
            own.close()

    def run(connection: sa.Connection) -> None:
        sa.event.listen(database.engine, "before_cursor_execute", explain)
        try:
            work(connection)
        finally:
            sa.event.remove(database.engine, "before_cursor_execute", explain)
        raise _Undo

    with pytest.raises(_Undo):
        database.write(run)
    return steps


def _sqlite_steps(cursor: Any, statement: str, parameters: Any) -> Iterator[str]:
    cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
    for *_, step in cursor.fetchall():
        yield f"walks: {step}" if step.startswith(("SCAN jobs", "SCAN deliveries")) else step


def _postgres_steps(cursor: Any, statement: str, parameters: Any) -> Iterator[str]:
    cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
    ((found,),) = cursor.fetchall()
    nodes = [(json.loads(found) if isinstance(found, str) else found)[0]["Plan"]]
    for node in nodes:
        nodes += node.get("Plans", [])
        kind, table = node["Node Type"], node.get("Relation Name", "")
        reads = kind == "Seq Scan" and table in ("jobs", "deliveries")
        reads |= "Index" in kind and "Index Cond" not in node and node["Index Name"] != "ix_deliveries_kept"
        yield f"{'walks: ' if reads else ''}{kind} {table} {node.get('Index Name', '')}"
