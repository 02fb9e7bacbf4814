"""What is particular to SQLite: its write-ahead log, its one writer, its way to be durable."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from shared import jobstore
from shared.database import Database, migrate
from tests.shared.make import add, new_job, statuses
from tests.stack import ROOT


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)], ids=["durable", "repeatable"])
def test_a_durable_commit_is_synchronous_in_full(durable: bool, level: int, database: Database) -> None:
    for wanted, expected in ((not durable, 3 - level), (durable, level)):
        found = database.write(lambda connection: connection.scalar(sa.text("PRAGMA synchronous")), durable=wanted)
        assert found == expected


def test_readers_do_not_wait_for_the_writer(database: Database) -> None:
    assert database.read(lambda connection: connection.scalar(sa.text("PRAGMA journal_mode"))) == "wal"


def test_a_writer_waits_for_the_one_before_it(database: Database) -> None:
    inside, queued = threading.Event(), threading.Event()

    def slow(connection: sa.Connection) -> None:
        inside.set()
        assert queued.wait(30)
        jobstore.add(connection, [new_job("a")])

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(database.write, slow)
        assert inside.wait(30)
        second = pool.submit(add, database, "b")
        queued.set()
        first.result(30)
        second.result(30)
    assert len(statuses(database, ["a", "b"])) == 2


def test_ping_fails_without_tables(tmp_path: Path) -> None:
    empty = Database(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    with pytest.raises(SQLAlchemyError):
        empty.ping()
    empty.close()


def test_migrating_makes_the_folder_it_needs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'not' / 'yet' / 'turno.sqlite'}"
    migrate(url)
    database = Database(url)
    database.ping()
    database.close()


def test_a_migration_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'turno.sqlite'}"
    database = Database(url)
    in_the_way = "ix_jobs_leftover_image"  # the last index of the first migration
    database.write(lambda connection: connection.execute(sa.text(f"CREATE TABLE {in_the_way} (x)")))
    with pytest.raises(SQLAlchemyError):
        migrate(url)
    assert sa.inspect(database.engine).get_table_names() == [in_the_way]
    database.write(lambda connection: connection.execute(sa.text(f"DROP TABLE {in_the_way}")))
    migrate(url)
    add(database, "a")
    assert statuses(database, ["a"]) == {"a": "queued"}
    database.close()


def test_two_processes_may_migrate_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'turno.sqlite'}"
    code = "import sys; from shared.database import migrate; migrate(sys.argv[1])"
    processes = [_python(code, url) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]


def test_a_file_that_is_no_database_is_a_database_error(database: Database) -> None:
    path = Path(database.url.removeprefix("sqlite:///"))
    database.close()
    path.write_bytes(b"no database at all " * 400)
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    with pytest.raises(SQLAlchemyError):
        add(database, "a")


def _python(code: str, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT)


def test_who_fails_while_reading_leaves_nobody_an_old_view(database: Database) -> None:
    add(database, *(f"{number:03}" for number in range(500)))
    kept: list[BaseException] = []  # as a log keeps one, and with it the rows that were not read

    def fail(connection: sa.Connection) -> list[int]:
        return [int(row.id) for row in connection.execute(sa.text("SELECT 'no number' AS id FROM jobs"))]

    for _ in range(3):
        with pytest.raises(ValueError, match="no number") as failure:
            database.read(fail)
        kept.append(failure.value)
    elsewhere = Database(database.url)
    add(elsewhere, "later")
    elsewhere.close()
    assert [statuses(database, ["later"]) for _ in range(4)] == [{"later": "queued"}] * 4
