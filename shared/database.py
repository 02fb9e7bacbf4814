"""One SQL database, reached through two verbs: `read` and `write`, each a whole transaction."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.exc import OperationalError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from shared.errors import OperatorError

T = TypeVar("T")
_MIGRATIONS = Path(__file__).parent / "migrations"
POSTGRES_ENCODING: dict[str, Any] = {"client_encoding": "utf8"}  # else a SQL_ASCII database answers in bytes
_SQLITE_WAIT_SECONDS = 10
_TRANSIENT_SQLSTATES = {"40001", "40P01"}  # serialization failure, deadlock


class Database:
    """The jobs' receipts; safe to share between threads, never between processes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._sqlite = url.startswith("sqlite")
        options: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 8, "max_overflow": 8, "pool_timeout": 10}
        options["hide_parameters"] = True  # errors are logged, and secrets are among the parameters
        if self._sqlite:
            # isolation_level None: the driver begins nothing by itself, `_begin_immediate` does
            options["connect_args"] = {"timeout": _SQLITE_WAIT_SECONDS, "isolation_level": None}
            options["pool_pre_ping"] = False
        else:
            # a server that is gone without a word must not hold a request for the system's quarter of an hour
            options["connect_args"] = {
                "connect_timeout": 5,
                **POSTGRES_ENCODING,
                "tcp_user_timeout": 10_000,  # for a question that is not acknowledged
                "keepalives_idle": 10,  # for one that is, and whose answer never comes
                "keepalives_interval": 5,
                "keepalives_count": 3,
                # and the other way round: a client that was cut off within a transaction must not keep its locks
                "options": "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=15000 "
                "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
            }
        self.engine = sa.create_engine(url, **options)
        if self._sqlite:
            sa.event.listen(self.engine, "connect", _tune_sqlite)
            sa.event.listen(self.engine, "begin", _begin_immediate)

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` returns; each of its statements sees what was committed when it began."""
        with self._connected() as connection:
            return work(connection)

    def write(self, work: Callable[[sa.Connection], T], *, durable: bool = False) -> T:
        """What `work` returns, once its changes are committed; `work` may run more than once.

        Args:
            durable: the commit survives a power cut. Moves that may be repeated need not be.
        """
        for attempt in Retrying(
            retry=retry_if_exception(_transient),
            stop=stop_after_attempt(5),
            wait=wait_random_exponential(multiplier=0.02, max=0.5),
            reraise=True,
        ):
            with attempt:
                return self._write_once(work, durable)
        raise AssertionError("unreachable: tenacity re-raises")

    def _write_once(self, work: Callable[[sa.Connection], T], durable: bool) -> T:
        with self._connected(turno_write=True) as connection:
            if self._sqlite:
                level = "FULL" if durable else "NORMAL"
                connection.connection.driver_connection.execute(f"PRAGMA synchronous={level}")  # type: ignore[union-attr]
            with connection.begin():
                if not self._sqlite and not durable:
                    connection.execute(sa.text("SET LOCAL synchronous_commit = off"))
                return work(connection)

    @contextmanager
    def _connected(self, **options: Any) -> Iterator[sa.Connection]:
        with self.engine.connect().execution_options(**options) as connection:
            try:
                yield connection
            except BaseException:
                # rows that were not read hold SQLite's snapshot, and the next one to get this connection would see it
                connection.invalidate()
                raise

    def ping(self) -> None:
        """Raises unless the database answers and has its tables."""
        self.read(lambda connection: connection.execute(sa.text("SELECT 1 FROM jobs LIMIT 1")).all())

    def close(self) -> None:
        """Gives every connection back."""
        self.engine.dispose()


def migrate(url: str) -> None:
    """Brings the database at `url` to the present shape; does nothing when it is there already.

    Raises:
        OperatorError: a newer version of the code has changed it.
    """
    from alembic import command  # 280 ms of CPU and 10 MB, which no API, worker or courier needs
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["url"] = url
    if not url.startswith("sqlite:///"):
        command.upgrade(config, "head")  # PostgreSQL lets one in at a time by a lock of its own
        return
    file = Path(url.removeprefix("sqlite:///"))
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.migrating"):
        command.upgrade(config, "head")


def unusable_database(error: Exception) -> OperatorError:
    """What the person at the terminal hears of a database that cannot be used."""
    reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
    return OperatorError(f"The database cannot be used ({reason}): check DATABASE_URL.")


def _tune_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_immediate(connection: sa.Connection) -> None:
    # a writer that first reads and then upgrades its lock can fail at once; one that begins as a writer waits
    immediate = connection.get_execution_options().get("turno_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _transient(error: BaseException) -> bool:
    if not isinstance(error, OperationalError):
        return False
    if isinstance(error.orig, sqlite3.OperationalError):
        return "locked" in str(error.orig) or "busy" in str(error.orig)
    return getattr(error.orig, "sqlstate", None) in _TRANSIENT_SQLSTATES
