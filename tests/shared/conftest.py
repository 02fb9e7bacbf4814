"""What the tests of `shared` may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from shared.database import Database, migrate
from shared.line import Line
from tests.redis_server import RedisServer

# no deadline: the machine's speed is no property of the code; no database: every run starts from the same place
settings.register_profile(
    "turno", deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("turno")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A real, empty SQLite file."""
    url = f"sqlite:///{tmp_path / 'turno.sqlite'}"
    migrate(url)
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def line(redis_server: RedisServer) -> Line:
    """The lines of a real, empty Redis."""
    return Line(redis_server.client())
