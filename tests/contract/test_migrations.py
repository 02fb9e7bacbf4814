"""Whatever a database holds, migrating it loses nothing; whoever else migrates it at the same moment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from shared.database import migrate
from shared.tables import metadata
from tests.contract.conftest import MakeUrl
from tests.contract.databases import assert_kept, fill, rows, run, shape
from tests.stack import ROOT
from tests.waiting import wait_for

_SCRIPTS = ROOT / "shared" / "migrations"
REVISIONS = list(ScriptDirectory(str(_SCRIPTS)).walk_revisions())[::-1]
HEAD = REVISIONS[-1].revision

_NEXT_REVISION = f"""
import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{HEAD}"


def upgrade():
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("rating", sa.Integer, nullable=False, server_default="3"))
        jobs.alter_column("filename", type_=sa.String(300), existing_type=sa.String(255))
        jobs.drop_column("error_detail")
"""
_MIGRATE_WHEN_TOLD = (
    "import sys; from shared.database import migrate; print(flush=True); sys.stdin.readline(); migrate(sys.argv[1])"
)


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The code of a later version: it changes, adds and drops columns."""
    folder = tmp_path / "newer"
    shutil.copytree(ROOT / "shared", folder / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "shared" / "migrations" / "versions" / "next.py").write_text(_NEXT_REVISION)
    return folder


@pytest.mark.parametrize("script", REVISIONS, ids=lambda script: script.revision)
def test_every_row_survives_every_migration(script: Script, make_url: MakeUrl) -> None:
    url = make_url()
    if isinstance(script.down_revision, str):
        _alembic(url, command.upgrade, script.down_revision)
        fill(url)
    before = rows(url)
    _alembic(url, command.upgrade, script.revision)
    assert_kept(before, rows(url))
    _alembic(url, command.upgrade, HEAD)
    assert_kept(before, rows(url))
    if not before:
        fill(url)
        assert {table for table, _ in rows(url)} == set(metadata.tables)


def test_every_row_and_index_survives_the_migration_of_a_later_version(make_url: MakeUrl, newer: Path) -> None:
    url = make_url()
    migrate(url)
    fill(url)
    before, indexes = rows(url), shape(url)["jobs"]["indexes"]
    _alembic(url, command.upgrade, "next", newer)
    after = rows(url)
    assert_kept(before, after)
    assert {row["rating"] for (table, _), row in after.items() if table == "jobs"} == {3}
    assert "error_detail" not in after["jobs", "queued"]
    assert shape(url)["jobs"]["indexes"] == indexes


def test_migrating_again_changes_neither_rows_nor_shape(make_url: MakeUrl) -> None:
    url = make_url()
    migrate(url)
    fill(url)
    before = (rows(url), shape(url))
    migrate(url)
    assert (rows(url), shape(url)) == before


def test_two_processes_may_migrate_an_empty_database_at_once(make_url: MakeUrl) -> None:
    url, alone = make_url(), make_url()
    migrate(alone)
    _two_migrate_at_once(url, ROOT, meeting_at="CREATE TABLE alembic_version (x INTEGER)")
    assert shape(url) == shape(alone)
    fill(url)


def test_two_processes_may_migrate_a_filled_database_at_once(make_url: MakeUrl, newer: Path) -> None:
    url = make_url()
    migrate(url)
    fill(url)
    before = rows(url)
    _two_migrate_at_once(url, newer, meeting_at="ALTER TABLE jobs ADD COLUMN x INTEGER")
    assert_kept(before, rows(url))


@pytest.mark.timeout(30)
def test_a_migration_that_breaks_off_leaves_nothing_and_nobody_waiting(make_url: MakeUrl) -> None:
    url = make_url()
    in_the_way = "ix_jobs_leftover_image"
    run(url, lambda connection: connection.execute(sa.text(f"CREATE TABLE {in_the_way} (x INTEGER)")))
    with pytest.raises(SQLAlchemyError) as _broken_off:  # held: its traceback keeps alive what was not closed
        migrate(url)
    assert list(shape(url)) == [in_the_way]
    run(url, lambda connection: connection.execute(sa.text(f"DROP TABLE {in_the_way}")))
    migrate(url)
    fill(url)


def test_the_migrated_shape_is_the_one_the_code_means(make_url: MakeUrl) -> None:
    url, meant = make_url(), make_url()
    migrate(url)
    run(meant, metadata.create_all)
    assert {name: table for name, table in shape(url).items() if name != "alembic_version"} == shape(meant)


def test_alembic_finds_nothing_left_to_migrate(make_url: MakeUrl) -> None:
    url = make_url()
    migrate(url)
    options = {"compare_type": True, "compare_server_default": True}
    found = run(
        url, lambda connection: compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    )
    assert found == []


@pytest.mark.parametrize("script", REVISIONS, ids=lambda script: script.revision)
def test_a_downgrade_gives_the_shape_of_before(script: Script, make_url: MakeUrl) -> None:
    url = make_url()
    _alembic(url, command.upgrade, HEAD)
    _alembic(url, command.downgrade, str(script.down_revision or "base"))
    before = shape(url)
    _alembic(url, command.upgrade, script.revision)
    _alembic(url, command.downgrade, str(script.down_revision or "base"))
    assert shape(url) == before


@pytest.mark.parametrize("script", REVISIONS[1:], ids=lambda script: script.revision)
def test_a_downgrade_loses_only_what_the_shape_before_has_no_place_for(script: Script, make_url: MakeUrl) -> None:
    url = make_url()
    _alembic(url, command.upgrade, script.revision)
    fill(url)
    before = rows(url)
    _alembic(url, command.downgrade, str(script.down_revision))
    tables = shape(url).keys()
    assert "jobs" in tables
    kept = {(table, id_): row for (table, id_), row in before.items() if table in tables}
    left = rows(url)
    assert_kept(kept, left)
    _alembic(url, command.upgrade, HEAD)
    assert_kept(left, rows(url))


def test_a_database_of_a_newer_version_is_refused_and_left_alone(
    make_url: MakeUrl, newer: Path, tmp_path: Path
) -> None:
    url = make_url()
    _alembic(url, command.upgrade, "next", newer)
    before = shape(url)
    environment = {**os.environ, "DATABASE_URL": url, "STATE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "turno", "migrate"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("turno: The database was brought to shape next by a newer version of Turno")
    assert shape(url) == before


def _alembic(url: str, verb: Callable[[Config, str], None], revision: str, code: Path = ROOT) -> None:
    config = Config()
    config.set_main_option("script_location", str(code / "shared" / "migrations"))
    config.attributes["url"] = url
    verb(config, revision)


def _two_migrate_at_once(url: str, code: Path, meeting_at: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _MIGRATE_WHEN_TOLD, url],
            cwd=code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout
        process.stdout.readline()
    with _both_held_up(url, meeting_at):
        for process in processes:
            assert process.stdin
            process.stdin.write(b"\n")
            process.stdin.flush()
    said = [process.communicate(timeout=60)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said


@contextmanager
def _both_held_up(url: str, meeting_at: str) -> Iterator[None]:
    """On PostgreSQL both wait before the same change, which is begun here and taken back; SQLite shows no waiters."""
    if url.startswith("sqlite"):
        yield
        return
    waiters = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(meeting_at))
        yield
        wait_for(lambda: run(url, lambda other: other.scalar(sa.text(waiters))) == 2, "both to wait for a lock")
        connection.rollback()
