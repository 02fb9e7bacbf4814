"""One body of tests, every database: SQLite always, PostgreSQL where there is one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from shared.database import Database, migrate
from shared.tables import metadata
from tests.postgres import fresh_database

MakeUrl = Callable[[], str]

settings.register_profile(
    "turno", deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("turno")


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> Iterator[str]:
    """A database with its table, for all tests: making one for each costs more than emptying it."""
    with fresh_database(postgres_url) as url:
        migrate(url)
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "postgres":
        url = request.getfixturevalue("migrated_postgres")
    else:
        url = f"sqlite:///{tmp_path / 'turno.sqlite'}"
        migrate(url)
    database = Database(url)
    database.write(lambda connection: [connection.execute(sa.delete(table)) for table in metadata.sorted_tables])
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def make_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeUrl]:
    """Makes addresses of databases that nobody has migrated yet."""
    server = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with ExitStack() as made:
        numbers = iter(range(100))

        def make() -> str:
            if server:
                return made.enter_context(fresh_database(server))
            return f"sqlite:///{tmp_path / f'{next(numbers)}.sqlite'}"

        yield make
