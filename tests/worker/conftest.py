"""A runner with everything real around it, and a tiny engine in the model's place."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.broker import connect_redis
from shared.database import Database, migrate
from shared.images import open_images
from shared.line import Line
from shared.settings import Settings
from shared.tables import metadata
from tests.conftest import DATABASES
from tests.postgres import fresh_database
from tests.receiver import Receiver
from tests.redis_server import RedisServer
from tests.worker.bench import Bench, TinyEngine, card
from worker.pulse import Pulse
from worker.registry import ServedModel
from worker.runner import Runner


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database of its own."""
    url = f"sqlite:///{tmp_path / 'turno.sqlite'}"
    migrate(url)
    database = Database(url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def _migrated_postgres(postgres_url: str) -> Iterator[str]:
    with fresh_database(postgres_url) as url:
        migrate(url)
        yield url


@pytest.fixture(params=DATABASES)
def every_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield request.getfixturevalue("database")
        return
    database = Database(request.getfixturevalue("_migrated_postgres"))
    database.write(lambda connection: [connection.execute(sa.delete(table)) for table in metadata.sorted_tables])
    yield database
    database.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Takes webhooks, and answers 200 unless told otherwise."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def bench(tmp_path: Path, redis_server: RedisServer) -> Iterator[Bench]:
    """One worker child's parts, put together."""
    settings = Settings(_env_file=None, state_dir=tmp_path, redis_url=redis_server.url, model_path=tmp_path / "leaf")
    settings.batch_seconds = 60  # nothing is to be handed back because this machine is busy
    migrate(settings.sql_url)
    database, images = Database(settings.sql_url), open_images(settings)
    images.prepare()
    for short in "abcde":  # the folders of ids as short as tests use them
        (settings.images_dir / short).mkdir()
    redis, engine = connect_redis(redis_server.url), TinyEngine()
    model = ServedModel("leaf", card(), engine)
    pulse = Pulse(settings, database, redis, model, "host/boot/1")
    runner = Runner(settings, database, images, model, pulse)
    yield Bench(settings, database, images, Line(redis), redis, engine, pulse, runner)
    database.close()
