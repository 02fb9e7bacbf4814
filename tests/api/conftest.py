"""The application with a real Redis and a real SQLite file, made anew for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from shared.database import Database, migrate
from shared.settings import Settings
from tests.api.hooks import NETWORKS
from tests.api.service import KEY, Service, TestClient
from tests.conftest import LEAF_HEALTH
from tests.redis_server import RedisServer

MakeService = Callable[..., Service]


@pytest.fixture
def make_service(redis_server: RedisServer, tmp_path: Path) -> Iterator[MakeService]:
    """Makes a service with these settings."""
    with ExitStack() as stack:

        def make(*, key: str | None = KEY, **changes: Any) -> Service:
            entries = {"state_dir": tmp_path, "redis_url": redis_server.url, "model_path": LEAF_HEALTH, **changes}
            settings = Settings(_env_file=None, **entries)
            migrate(settings.sql_url)
            app = create_app(settings)
            headers = {"X-API-Key": key} if key else {}
            client = stack.enter_context(
                TestClient(app, "http://localhost", headers=headers, client=("127.0.0.1", 5000))
            )
            database = Database(settings.sql_url)
            stack.callback(database.close)
            return Service(app, settings, client, database)

        yield make


@pytest.fixture
def service(make_service: MakeService) -> Service:
    """A service that asks for a key, with a client that has it."""
    return make_service(api_key=KEY)


@pytest.fixture
def hooked(make_service: MakeService) -> Service:
    """The same, which may send webhooks to this machine."""
    return make_service(api_key=KEY, webhook_allow_networks=NETWORKS)
