"""A real Redis for tests: the embedded server, which can be flushed, killed and started again."""

import contextlib
import subprocess
from pathlib import Path

from redis import Redis, RedisError

from shared.broker import connect_redis
from tests.waiting import wait_for
from turno.embedded_redis import find_redis_server, redis_command, redis_url


class RedisServer:
    """One server on a socket in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = redis_url(folder)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self._process = subprocess.Popen(redis_command(find_redis_server(), self._folder))
        wait_for(self._answers, "Redis to answer")

    def kill(self) -> None:
        """SIGKILL: what it held is gone."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def runs(self) -> bool:
        """Whether it was started, and not killed since."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The number of the running process."""
        assert self._process
        return self._process.pid

    def client(self) -> Redis:
        """A client of it."""
        return connect_redis(self.url)

    def _answers(self) -> bool:
        with contextlib.suppress(RedisError):
            return bool(self.client().ping())
        return False
