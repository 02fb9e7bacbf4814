"""One body of tests, every database: SQLite always, PostgreSQL where there is one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from sqlalchemy.exc import OperationalError

from shared.database import Database, migrate
from shared.tables import jobs
from tests.contract.postgres import configured_url, local_postgres
from tests.waiting import wait_for

settings.register_profile(
    "turno", deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("turno")

# before a test cleans the environment
_CONFIGURED = configured_url()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A migrated PostgreSQL; skips without one, fails when the configured one cannot be reached."""
    if _CONFIGURED:
        migrate(_CONFIGURED)
        yield _CONFIGURED
        return
    with local_postgres() as url:
        if url is None:
            pytest.skip("no PostgreSQL on this machine, and TEST_POSTGRES_URL is not set")
        engine = sa.create_engine(url)

        def answers() -> bool:
            try:
                engine.connect().close()
            except OperationalError:
                return False
            return True

        wait_for(answers, "PostgreSQL to answer")
        engine.dispose()
        migrate(url)
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    else:
        url = f"sqlite:///{tmp_path / 'turno.sqlite'}"
        migrate(url)
    database = Database(url)
    database.write(lambda connection: connection.execute(sa.delete(jobs)))
    yield database
    database.close()
