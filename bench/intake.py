"""How many submissions one API process takes on one core, over a handler that keeps nothing, beside full tables."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from filelock import FileLock

from bench import cores
from bench.cache import Material
from bench.database import database_of
from bench.figures import Figure, Figures, Goal
from bench.filled import _fill
from bench.generator import send, upload_request
from bench.plan import Plan
from bench.processes import Process
from bench.server import Server
from bench.service import Service
from shared.database import Database, migrate
from shared.tables import jobs

_CONNECTIONS = 16
_BURST_SECONDS = 2.5
_TRIAL = 100
_GOAL = Goal(0.5)
_FLAT = Goal(0.95)
_ROOM_BYTES = 2_000_000_000  # that stay free when a table is filled
_ROW_BYTES = 4000


@dataclass(slots=True)
class Taker:
    """A process that takes uploads, and how fast."""

    process: Process
    port: int
    requests: list[bytes]
    total: int  # of a burst; 0: what it takes in some seconds

    def warm_up(self) -> None:
        """Sends what is not counted."""
        send(self.port, self.requests, self.total or _TRIAL, _CONNECTIONS)
        if not self.total:
            trial = send(self.port, self.requests, _TRIAL, _CONNECTIONS)
            self.total = max(_TRIAL, int(_BURST_SECONDS * trial.per_second))

    def burst(self) -> tuple[float, float]:
        """Requests in a second, and the milliseconds of CPU that each cost."""
        before = self.process.cpu_seconds()
        rate = send(self.port, self.requests, self.total, _CONNECTIONS).per_second
        return rate, (self.process.cpu_seconds() - before) / self.total * 1000


def measure(plan: Plan) -> list[Figure]:
    """Each number of rows, taking turns with the bare handler."""
    (workload, *_) = plan.workloads("cnn")
    material = plan.cache.material(workload, served=False)
    images = [path.read_bytes() for path in material.images]
    where = f"API and bare handler: core {cores.named(cores.MEASURED)}; generator, Redis: {cores.named(cores.OTHERS)}"
    figures = {rows: Figures("intake", f"{workload.name}, {rows:,} rows", where) for rows in plan.rows}
    with ExitStack() as opened:
        server = opened.enter_context(Server("bench.peers.bare:app", cores.MEASURED))
        bare = Taker(server.process, server.port, [upload_request(one, "/upload") for one in images], plan.jobs)
        bare.warm_up()
        takers = {}
        for rows in plan.rows:
            service = opened.enter_context(_service(plan, material, rows))
            process = service.processes["api"]
            requests = [upload_request(one, "/v1/jobs") for one in images]
            takers[rows] = Taker(process, service.port, requests, plan.jobs)
            takers[rows].warm_up()
        for say in plan.each_round("intake"):
            empty = None
            for rows, taker in takers.items():
                say(f"{rows:,} rows in the table")
                rate, cpu_ms = _note(figures[rows], taker, bare)
                empty = empty or (rate, cpu_ms)
                if rows != plan.rows[0]:
                    figures[rows].note("over an emptier table", rate / empty[0], goal=_FLAT)
                    figures[rows].note_ratio("CPU beside an emptier table, over its own", empty[1], cpu_ms)
    return [row for one in figures.values() for row in one.rows()]


def _note(figures: Figures, taker: Taker, bare: Taker) -> tuple[float, float]:
    bare_rate, bare_ms = bare.burst()
    rate, cpu_ms = taker.burst()
    figures.note("bare handler", bare_rate, "requests/s")
    figures.note("Turno", rate, "submissions/s")
    figures.note("Turno over bare handler", rate / bare_rate, goal=_GOAL)
    figures.note("bare handler, CPU", bare_ms, "ms")
    figures.note("Turno, CPU", cpu_ms, "ms")
    figures.note_ratio("bare handler's CPU over Turno's", bare_ms, cpu_ms)
    return rate, cpu_ms


@contextmanager
def _service(plan: Plan, material: Material, rows: int) -> Iterator[Service]:
    """An API over a table with so many ended jobs; no courier, which would begin to erase them."""
    with _table(plan, rows) as url, Service(material, database_url=url) as service:
        yield service.start("redis").start("api", on=cores.MEASURED)


@contextmanager
def _table(plan: Plan, rows: int) -> Iterator[str]:
    """The DATABASE_URL of a database with so many ended jobs; SQLite's file is kept for the next time."""
    if plan.database == "postgresql" or not rows:
        with database_of(plan.database) as url:
            if rows:
                plan.say(f"intake: making {rows:,} rows")
                _fill(url, rows)
            yield url
        return
    head = ScriptDirectory(str(Path(sys.modules[migrate.__module__].__file__ or "").parent / "migrations"))
    file = plan.cache.folder / f"rows-{rows}-{head.get_current_head()}.sqlite"
    with FileLock(f"{file}.lock"):
        if not file.exists():
            plan.say(f"intake: making {rows:,} rows, once")
            _make(file, rows)
        url = f"sqlite:///{file}"
        _forget_queued(url)  # of a run that was killed
        try:
            yield url
        finally:
            _forget_queued(url)


def _make(file: Path, rows: int) -> None:
    if shutil.disk_usage(file.parent).free < rows * _ROW_BYTES + _ROOM_BYTES:
        raise RuntimeError(f"{file.parent} has too little room for {rows:,} rows: choose another --folder or --rows.")
    with tempfile.TemporaryDirectory(dir=file.parent, prefix="making-") as scratch:
        made = Path(scratch) / file.name
        _fill(f"sqlite:///{made}", rows)
        made.rename(file)


def _forget_queued(url: str) -> None:
    database = Database(url)
    database.write(lambda connection: connection.execute(sa.delete(jobs).where(jobs.c.status == "queued")))
    database.close()
