"""Where the jobs lie: SQLite in the state folder, or a PostgreSQL server that lives as long as one measure."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from bench import cores
from bench.processes import Process, plain_environment
from tests.waiting import wait_for

_NOBODY = 65534  # PostgreSQL refuses to run as root


@contextmanager
def database_of(kind: str, on: list[int] = cores.OTHERS) -> Iterator[str]:
    """The DATABASE_URL of an empty database."""
    if kind == "sqlite":
        yield ""
        return
    with postgresql(on) as (url, _):
        yield url


@contextmanager
def postgresql(on: list[int]) -> Iterator[tuple[str, Process]]:
    """The address of an empty database, and its server: with the defaults, durable commits among them."""
    folder = Path(tempfile.mkdtemp(prefix="turno-pg-"))
    user = _NOBODY if os.geteuid() == 0 else os.geteuid()
    os.chown(folder, user, -1)
    url = f"postgresql+psycopg://turno@/postgres?host={folder}"
    making = [_program("initdb"), "-D", "data", "-U", "turno", "-A", "trust", "-E", "UTF8"]
    subprocess.run(making, cwd=folder, user=user, capture_output=True, check=True)
    command = [_program("postgres"), "-D", "data", "-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"]
    server = Process(command, plain_environment(), folder, folder / "log", on, user=user)
    try:
        wait_for(lambda: _answers(url), f"PostgreSQL to answer, see {folder}/log")
        yield url, server
    finally:
        server.stop()
        shutil.rmtree(folder)


def postgresql_is_here() -> bool:
    """Whether this machine has a server's binary."""
    return shutil.which(_program("initdb")) is not None


def _answers(url: str) -> bool:
    engine = sa.create_engine(url)
    try:
        with engine.connect():
            return True
    except OperationalError:
        return False
    finally:
        engine.dispose()


def _program(name: str) -> str:
    newest_first = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(newest_first[0]) if newest_first else name
