"""Databases as they are after a month: a few hundred jobs go through the store, and the database multiplies their rows.

What is waiting is written by the store itself, row by row, and stands in the Redis line, too.
"""

import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from redis import Redis

from bench.copied import MODEL, PATTERN, STORING, copying
from shared import batchstore, jobstore, outbox
from shared.database import Database, migrate
from shared.hooks import Attempt, Event
from shared.jobs import Batch, Keep, NewJob, Outcome, Priority, Queued
from shared.line import Line
from shared.outbox import Message
from shared.tables import batches, deliveries, jobs
from tests.postgres import run_outside_transactions, running_server
from tests.redis_server import RedisServer

CALLERS = [f"key-{number:08x}" for number in range(10)]
OWNER = "host/boot/1"
FEW = 1000  # as good as none, but that a page of a list is full
_COPIES = 100  # in one transaction
_BATCH = 20
RESULT = {
    "predicted_class": "rust", "verdict": "diagnosed", "confidence": 0.93, "probability": 0.91,
    "predictions": [0.02, 0.93, 0.05], "probabilities": {"healthy": 0.02, "rust": 0.93, "powdery mildew": 0.05},
    "model": {"name": MODEL, "version": "1", "digest": "d" * 64, "engine": "openvino", "precision": "bf16"},
    "stages_ms": {"decoded": 2.1, "inferred": 9.3}, "advice": "A sentence about what to do next. " * 30,
}  # fmt: skip


@dataclass
class Situation:
    """A database and a Redis, and how much is in them."""

    name: str
    database: Database
    server: RedisServer

    def redis(self) -> Redis:
        """A client of its Redis."""
        return self.server.client()


@contextmanager
def situations(kind: str, folder: Path, rows: int, waiting: int) -> Iterator[list[Situation]]:
    """The three that are compared: next to nothing, `rows` jobs that have ended, and `waiting` more in line."""
    names = [f"{FEW:,} ended", f"{rows:,} ended", f"and {waiting:,} waiting"]
    with ExitStack() as opened:
        made = []
        for name, url in zip(names, opened.enter_context(_urls(kind, folder, rows)), strict=True):
            place = folder / f"r{len(made)}"  # short: a unix socket lies in it
            place.mkdir()
            server = RedisServer(place)
            server.start()
            opened.callback(server.kill)
            made.append(Situation(name, Database(url), server))
            opened.callback(made[-1].database.close)
        _wait_in_line(made[-1], waiting)
        for situation in made:
            _settle(situation.database)
        yield made


@contextmanager
def _urls(kind: str, folder: Path, rows: int) -> Iterator[list[str]]:
    if kind == "sqlite":
        files = [folder / f"{name}.sqlite" for name in ("few", "rows", "waiting")]
        urls = [f"sqlite:///{file}" for file in files]
        for url, number in zip(urls, (FEW, rows), strict=False):
            _fill(url, number)
        shutil.copyfile(files[1], files[2])
        yield urls
        return
    with running_server() as server:
        urls = [server.url.replace("/postgres?", f"/{name}?") for name in ("few", "rows", "waiting")]
        for name, url, number in zip(("few", "rows"), urls, (FEW, rows), strict=False):
            run_outside_transactions(server.url, f"CREATE DATABASE {name}")
            _fill(url, number)
        run_outside_transactions(server.url, "CREATE DATABASE waiting TEMPLATE rows STRATEGY FILE_COPY")
        yield urls


def _fill(url: str, rows: int) -> None:
    migrate(url)
    database = Database(url)
    _make_pattern(database)
    database.close()
    engine = sa.create_engine(url)
    if url.startswith("sqlite"):
        sa.event.listen(engine, "connect", _hurry)
    names = [table.name for table in (jobs, batches, deliveries)]
    with engine.connect() as connection:
        for name in names:
            numbered = f"SELECT *, row_number() OVER (ORDER BY id) - 1 AS k FROM {name}"
            connection.execute(sa.text(f"CREATE TABLE pattern_{name} AS {numbered}"))
            connection.execute(sa.text(f"DELETE FROM {name}"))
        for first in range(0, rows // PATTERN, _COPIES):
            for statement in copying(engine.dialect.name, first, min(rows // PATTERN, first + _COPIES), rows):
                connection.execute(sa.text(statement.replace(":", "\\:")))
            connection.commit()
        for name in names:
            connection.execute(sa.text(f"DROP TABLE pattern_{name}"))
        connection.commit()
    engine.dispose()
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _hurry(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA cache_size=-300000")


def _make_pattern(database: Database) -> None:
    """Jobs of every kind and end, by way of the store."""
    now = datetime.now(UTC)
    arrivals = [new_job(number, now) for number in range(PATTERN)]
    together: dict[str, list[NewJob]] = defaultdict(list)
    for one in arrivals:
        together[one.batch_id or ""].append(one)
    ids = [one.id for one in arrivals]

    def write(connection: sa.Connection) -> None:
        jobstore.add(connection, together.pop("", []))
        for batch_id, members in together.items():
            batch = Batch(batch_id, members[0].caller, now, _BATCH, [], idempotency_key=batch_id)
            batchstore.add(connection, batch, members)
        claims = jobstore.claim(connection, ids, OWNER, 30)
        jobstore.cancel_all(connection, [one.id for one in claims[::30]])
        failed = {one.id for one in claims[1::20]}
        outcomes = [
            Outcome(one, error_code="image-undecodable", error_detail="x") if one.id in failed else Outcome(one, RESULT)
            for one in claims
        ]
        jobstore.finish(connection, outcomes)
        erased = ids[7::25]
        jobstore.erase(connection, erased)
        jobstore.forget_images(connection, erased)
        _deliver(connection, arrivals[::10], now)

    database.write(write)


def _deliver(connection: sa.Connection, told: list[NewJob], now: datetime) -> None:
    made = outbox.add(connection, [message(one) for one in told])
    for delivery in outbox.take(connection, made, now + timedelta(days=1), now):
        number = made.index(delivery.id)
        attempt = Attempt(now, 12.5, 204 if number % 10 else 500, None if number % 10 else "500")
        outbox.record(connection, delivery, attempt, None)


def message(one: NewJob, server: str = "https://receiver.example") -> Message:
    """A delivery that tells of this job."""
    text = '{"type":"job.succeeded","data":"' + "x" * 1500 + '"}'
    endpoint = f"{CALLERS.index(one.caller):032x}"
    return Message(
        f"{one.id}-3", Event.JOB_SUCCEEDED, one.caller, endpoint, f"{server}/hook", text, one.id, one.batch_id
    )


def new_job(number: int, moment: datetime, **changes: Any) -> NewJob:
    """The arrival with this number: the callers take turns, a fifth come in batches, some have names."""
    batch = f"{number // 100:032x}" if number % 100 < _BATCH else None
    entries: dict[str, Any] = {
        "id": f"{int(moment.timestamp() * 1000):012x}{number:020x}", "model": MODEL,
        "caller": CALLERS[number // 100 % 10 if batch else number % 10], "priority": Priority.INTERACTIVE,
        "filename": f"photo-{number}.jpg", "received_at": moment,
        "queued_at": moment + timedelta(microseconds=1000 * STORING if number % 50 == 33 else STORING),
        "keep": Keep.FULL, "client_id": f"name-{number}" if number % 20 == 3 else None,
        "idempotency_key": f"once-{number}" if number % 3 == 0 and not batch else None, "fingerprint": "f" * 64,
        "batch_id": batch, "batch_index": number % 100 if batch else None,
    }  # fmt: skip
    return NewJob(**{**entries, **changes})


def _wait_in_line(situation: Situation, waiting: int) -> None:
    """Jobs in SQL and in the line, nine of ten one caller's; and as many deliveries that wait for a dead server."""
    line, redis = Line(situation.redis()), situation.redis()
    for first in range(0, waiting, 1000):
        now = datetime.now(UTC)
        arrivals = [
            new_job(number, now, caller=CALLERS[number % 10 == 0], client_id=None, idempotency_key=None, batch_id=None)
            for number in range(first, min(waiting, first + 1000))
        ]
        told = [message(one, "https://dead.example") for one in arrivals]
        situation.database.write(lambda it, new=arrivals: jobstore.add(it, new))  # type: ignore[misc]
        situation.database.write(lambda it, new=told: outbox.add(it, new))  # type: ignore[misc]
        line.join([Queued(one.id, one.model, one.caller, one.priority) for one in arrivals])
    redis.close()


def _settle(database: Database) -> None:
    if database.engine.dialect.name == "postgresql":  # autovacuum would, in a minute
        run_outside_transactions(database.url, "VACUUM ANALYZE")
        run_outside_transactions(database.url, "CHECKPOINT")
