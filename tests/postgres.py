"""PostgreSQL for tests: throw-away servers of this machine, and databases of their own on a server."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from tests.waiting import wait_for

_NOBODY = 65534  # PostgreSQL refuses to run as root
_OPTIONS = {"fsync": "off", "listen_addresses": "", "shared_buffers": "16MB"}


class PostgresServer:
    """One server in a folder, on a unix socket only, which a test may kill and start again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._user = _NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, self._user, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql+psycopg://turno@/postgres?host={folder}"
        making = [_program("initdb"), "-D", "data", "-U", "turno", "-A", "trust", "-E", "UTF8", "--no-sync"]
        made = subprocess.run(
            making, cwd=folder, user=self._user, group=self._user, capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        """Returns when it answers."""
        wait_for(self._begun, f"PostgreSQL to answer, see {self._folder}/log")

    def kill(self) -> None:
        """SIGKILL to the server and to all that serve its connections, as when its machine loses power."""
        if self._process:
            served_by = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            for process in served_by:
                with suppress(psutil.NoSuchProcess):  # they end by themselves when the server is gone
                    process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It is there, its kernel takes what it is sent, and it does not answer: as in a container that is paused."""
        assert self._process
        whole = psutil.Process(self._process.pid)
        stopped = [whole, *whole.children(recursive=True)]
        for process in stopped:
            process.suspend()
        try:
            yield
        finally:
            for process in stopped:
                process.resume()

    def _begun(self) -> bool:
        # it may refuse to start for as long as the shared memory of one that was killed is in use
        if self._process is None or self._process.poll() is not None:
            options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
            command = [_program("postgres"), "-D", "data", *options, "-c", f"unix_socket_directories={self._folder}"]
            with (self._folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    command, cwd=self._folder, user=self._user, group=self._user, stdout=log, stderr=log
                )
        return _answers(self.url)


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A server of this machine; without PostgreSQL, a test is skipped at home and fails in CI."""
    if not shutil.which(_program("initdb")):
        missing = "PostgreSQL is not installed on this machine"
        assert not os.environ.get("CI"), missing
        pytest.skip(missing)
    folder = Path(tempfile.mkdtemp(prefix="turno-pg-"))
    try:
        server = PostgresServer(folder)
        try:
            server.start()
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder)


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of an empty database on this server; it goes afterwards, whoever is still connected."""
    name = f"turno_test_{secrets.token_hex(6)}"
    run_outside_transactions(server_url, f"CREATE DATABASE {name}")
    try:
        yield sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        run_outside_transactions(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def run_outside_transactions(url: str, statement: str) -> None:
    """Runs one statement on a connection of its own."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def _answers(url: str) -> bool:
    try:
        run_outside_transactions(url, "SELECT 1")
    except OperationalError:
        return False
    return True


def _program(name: str) -> str:
    newest_first = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(newest_first[0]) if newest_first else name
