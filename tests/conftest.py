"""What every test may use: a clean environment, a real Redis, a PostgreSQL, a prepared model, the whole stack."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from shared.settings import Settings
from tests.postgres import fresh_database, running_server
from tests.redis_server import RedisServer
from tests.s3_server import S3Server, running_s3
from tests.stack import ROOT, Stack
from worker.prepare import prepare_served_model

StackFactory = Callable[..., Stack]
LEAF_HEALTH = ROOT / "models" / "leaf-health"
DATABASES = ["sqlite", "postgres"]
ON_EVERY_DATABASE = pytest.mark.parametrize("database_url", DATABASES, indirect=True)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that runs the tests reaches them."""
    for name in list(os.environ):
        if name.lower() in Settings.model_fields or name == "UVICORN_PORT":
            monkeypatch.delenv(name)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder with a path short enough for a unix socket."""
    folder = Path(tempfile.mkdtemp(prefix="turno-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _redis_server() -> Iterator[RedisServer]:
    folder = Path(tempfile.mkdtemp(prefix="turno-test-"))
    server = RedisServer(folder)
    server.start()
    yield server
    server.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def redis_server(_redis_server: RedisServer) -> RedisServer:
    """A real, empty Redis."""
    _redis_server.client().flushall()
    return _redis_server


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL on which tests may create databases: the one at TEST_POSTGRES_URL, or one of this machine."""
    if configured := os.environ.get("TEST_POSTGRES_URL"):
        yield configured
        return
    with running_server() as server:
        yield server.url


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a stack keeps its jobs: in SQLite, unless a test is marked ON_EVERY_DATABASE."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield ""
        return
    with fresh_database(request.getfixturevalue("postgres_url")) as url:
        yield url


@pytest.fixture(scope="session")
def _s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """A real S3 server with an empty bucket; it takes Google's client, too."""
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(_s3.google_account))
    return _s3.fresh()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model, prepared once for all tests, whatever process runs them: the second waits for the first."""
    base = tmp_path_factory.getbasetemp()
    state = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "prepared-model"
    prepare_served_model(Settings(_env_file=None, state_dir=state, model_path=LEAF_HEALTH))  # type: ignore[call-arg]
    return state / "prepared"


@pytest.fixture
def make_stack(tmp_path: Path, short_folder: Path, prepared: Path, database_url: str) -> Iterator[StackFactory]:
    """Makes a stack that serves the bundled model; its processes end with the test."""
    made: list[Stack] = []

    def make(**settings: str) -> Stack:
        shutil.copytree(prepared, tmp_path / "prepared")
        defaults = {"MODEL_PATH": str(LEAF_HEALTH), "DATABASE_URL": database_url}
        stack = Stack(tmp_path, short_folder, **{**defaults, **settings})
        made.append(stack)
        return stack

    yield make
    for stack in made:
        stack.close()


@contextmanager
def shared_stack(request: pytest.FixtureRequest, database: str = "sqlite", **settings: str) -> Iterator[Stack]:
    """A stack for all tests of a file, not started yet: a start costs eight seconds of CPU, most tests less than one.

    Args:
        request: of a fixture of the file, which decides what runs; a test may find more jobs than its own.
        database: "sqlite" or "postgres".
    """
    folders: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    state, redis = folders.mktemp("state"), folders.mktemp("r")  # a short path, for a unix socket
    shutil.copytree(request.getfixturevalue("prepared"), state / "prepared")
    with ExitStack() as opened:
        if database == "postgres":
            url = opened.enter_context(fresh_database(request.getfixturevalue("postgres_url")))
            settings = {"DATABASE_URL": url, **settings}
        stack = Stack(state, redis, **{"MODEL_PATH": str(LEAF_HEALTH), **settings})
        opened.callback(stack.close)
        yield stack
