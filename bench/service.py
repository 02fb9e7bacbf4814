"""The product as `turno up` runs it: the same command lines and environments, each process pinned and on its own."""

import contextlib
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import sqlalchemy as sa
from redis import Redis, RedisError

from bench import cores
from bench.cache import Material
from bench.processes import Process, plain_environment
from shared.broker import connect_redis
from shared.database import Database, migrate
from shared.images import open_images
from shared.presence import Presence
from shared.settings import Settings
from shared.tables import jobs
from tests.waiting import wait_for
from turno.programs import make_programs

_START_SECONDS = 120.0
_LOOK_SECONDS = 0.2  # a look costs the others time
_UNENDED = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.status.in_(["queued", "running"]))


class Service:
    """A state folder of its own and the processes over it; a context manager that leaves nothing behind."""

    def __init__(self, material: Material, *, database_url: str = "", **settings: str) -> None:
        """Makes the folder; nothing runs yet."""
        self.folder = Path(tempfile.mkdtemp(prefix="turno-bench-"))
        (self.folder / "prepared").symlink_to(material.state / "prepared")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        told = {
            "STATE_DIR": str(self.folder),
            "PORT": str(self.port),
            "MODEL_PATH": str(material.model),
            "DATABASE_URL": database_url,
            **settings,
        }
        self.settings = Settings(_env_file=None, **{name.lower(): value for name, value in told.items()})  # type: ignore[arg-type]
        self.programs = make_programs(self.settings, plain_environment(**told), None, reload=False)
        self.model = material.model.name
        self.processes: dict[str, Process] = {}
        self._told: dict[str, str] = {}
        migrate(self.settings.sql_url)
        open_images(self.settings).prepare()
        self.database = Database(self.settings.sql_url)
        self.redis: Redis = connect_redis(self.programs.worker.environment["REDIS_URL"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None) -> None:
        if error:
            for name, process in self.processes.items():  # the logs go with the folder
                error.add_note(f"{name} {'ran' if process.runs else 'had ended'} and said: {process.last_words()}")
        for name in reversed(list(self.processes)):
            self.stop(name)
        self.database.close()
        self.redis.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.programs.redis_folder:
            shutil.rmtree(self.programs.redis_folder, ignore_errors=True)

    def start(self, *names: str, on: list[int] = cores.OTHERS) -> Self:
        """Starts these processes; returns when Redis and the API answer, if they are among them."""
        for name in names:
            self.begin(name, on)
            if name == "redis":
                wait_for(self._redis_answers, "Redis to answer", _START_SECONDS)
        if "api" in names:
            wait_for(self._api_answers, "the API to answer", _START_SECONDS)
        return self

    def begin(self, name: str, on: list[int]) -> Process:
        """Starts one process and returns at once."""
        program = getattr(self.programs, name)
        log = self.folder / f"{name}.log"
        environment = {**program.environment, **self._told}
        self.processes[name] = Process(program.command, environment, self.folder, log, on)
        return self.processes[name]

    def tell(self, **settings: str) -> None:
        """Gives processes that are begun from now on other settings."""
        self._told |= settings

    def stop(self, name: str) -> None:
        """Ends one process."""
        self.processes.pop(name).stop()

    def warm_workers(self) -> int:
        """How many worker children have their model warm."""
        return len(Presence(self.redis).warm(self.model))

    def wait_warm(self, children: int = 1) -> None:
        """Returns once so many worker children can take work."""
        wait_for(lambda: self.warm_workers() >= children, "a warm worker", _START_SECONDS)

    def forget_workers(self) -> None:
        """What ended workers have said of themselves is not taken for a new one's word."""
        for key in self.redis.scan_iter("turno:*beats"):
            self.redis.delete(key)

    def wait_ended(self, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Returns once no job waits or runs; `meanwhile` is called a few times a second."""

        end = time.monotonic() + seconds
        while True:
            meanwhile()
            if not self.database.read(lambda connection: connection.scalar(_UNENDED)):
                return
            if time.monotonic() > end:
                raise TimeoutError(f"jobs had not ended after {seconds:g} s")
            time.sleep(_LOOK_SECONDS)

    def forget_images(self) -> None:
        """Removes the stored images of ended jobs: large ones would fill the disk."""
        images = open_images(self.settings)
        for number in range(256):
            for job_id in images.shard(number, -60):
                images.delete(job_id)

    def _redis_answers(self) -> bool:
        with contextlib.suppress(RedisError):
            return bool(self.redis.ping())
        return False

    def _api_answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/livez", timeout=5).status_code == 200
        return False
