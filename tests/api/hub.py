"""The watchers of one process without HTTP, what they ask SQL, and a worker played by hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import api.waiting
from api.waiting import Waiting, Watch
from shared.changes import CHANNEL, announce
from shared.database import Database, migrate
from tests.redis_server import RedisServer
from tests.shared.make import get

NEVER_SECONDS = 3600.0
SOON_SECONDS = 20.0


class Hub:
    """What a scenario may use."""

    def __init__(self, waiting: Waiting, database: Database, redis: RedisServer, patch: pytest.MonkeyPatch) -> None:
        self.waiting = waiting
        self.database = database
        self.opened = contextlib.ExitStack()
        self.questions: list[int] = []  # how many ids each query named
        self.gate: Callable[[], object] = lambda: None  # each query waits for it
        self.redis = redis
        self._worker = redis.client()
        self._patch = patch
        sa.event.listen(waiting._database.engine, "before_cursor_execute", self._asked)

    async def watching(self, *ids: str, watchers: int = 1, to_the_end: bool = False) -> list[Watch]:
        """Begins to watch, and returns when what a watch asks for first has been read."""
        jobs = [get(self.database, id_) for id_ in ids * watchers]
        opened = [self.opened.enter_context(self.waiting.watching(job, to_the_end=to_the_end)) for job in jobs]
        await soon(lambda: not self.waiting._due and sum(self.questions) >= len(ids))
        self.questions.clear()
        return opened

    def announce(self, *ids: str, started: bool = False) -> None:
        """Tells what a worker tells."""
        announce(self._worker, ids, started=started)

    def subscriptions(self) -> int:
        """How many listen on the channel."""
        return int(self.redis.client().pubsub_numsub(CHANNEL)[0][1])

    def reread(self, seconds: float) -> None:
        """Sets how often SQL is compared."""
        self._patch.setattr(api.waiting, "_REREAD_SECONDS", seconds)

    def rename(self, before: str, after: str) -> None:
        """Takes a table away, or brings it back."""
        statement = sa.text(f"ALTER TABLE {before} RENAME TO {after}")
        self.database.write(lambda connection: connection.execute(statement))

    def _asked(self, _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM jobs" in statement:
            self.questions.append(len(parameters))
            self.gate()


async def soon(condition: Callable[[], object]) -> None:
    """Returns once `condition` holds."""
    async with asyncio.timeout(SOON_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


def play(
    scenario: Callable[[Hub], Awaitable[None]],
    redis: RedisServer,
    folder: Path,
    reread_seconds: float = NEVER_SECONDS,
) -> None:
    """Plays a scenario, and looks whether everything was given back.

    Args:
        reread_seconds: how often SQL is compared; without it, nothing is learned but by announcements.
    """
    url = f"sqlite:///{folder}/jobs.db"
    migrate(url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.waiting, "_REREAD_SECONDS", reread_seconds)
        asyncio.run(_played(scenario, redis, url, patch))


async def _played(
    scenario: Callable[[Hub], Awaitable[None]], redis: RedisServer, url: str, patch: pytest.MonkeyPatch
) -> None:
    async with _opened(redis, url, patch) as hub:
        with hub.opened:
            await scenario(hub)
        assert hub.waiting._watches == {}


@contextlib.asynccontextmanager
async def _opened(redis: RedisServer, url: str, patch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    with contextlib.closing(Database(url)) as database, contextlib.closing(Database(url)) as asked:
        hub = Hub(Waiting(asked, redis.url), database, redis, patch)
        hub.waiting.start()
        try:
            await soon(lambda: hub.subscriptions() == 1)
            yield hub
        finally:
            await hub.waiting.stop()
