"""Waiting for a job's end without a thread: one Redis subscription for the process, one event for each waiter."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from api.threads import in_thread
from shared import jobstore
from shared.changes import CHANNEL, heard
from shared.database import Database
from shared.errors import StoreUnavailable
from shared.logs import get_logger

log = get_logger(__name__)

_REREAD_SECONDS = 1.0  # an announcement may be lost: SQL is asked, once for all waiters
_IDS_AT_ONCE = 500


class Waiting:
    """The waiters of one API process."""

    def __init__(self, database: Database, redis_url: str) -> None:
        self._database = database
        self._redis_url = redis_url
        self._waiters: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to listen; to be called on the event loop."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._reread())]

    async def stop(self) -> None:
        """Ends listening."""
        # again and again: a cancellation that meets redis-py's connecting is swallowed there
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=0.1)

    @contextlib.asynccontextmanager
    async def watching(self, job_id: str) -> AsyncIterator[asyncio.Event]:
        """Gives an event that is set when the job moved; begin to watch before reading the job."""
        event = asyncio.Event()
        self._waiters[job_id].add(event)
        try:
            yield event
        finally:
            self._waiters[job_id].discard(event)
            if not self._waiters[job_id]:
                del self._waiters[job_id]

    def _wake(self, ids: set[str]) -> None:
        for id_ in ids & self._waiters.keys():
            for event in self._waiters[id_]:
                event.set()

    async def _listen(self) -> None:
        while True:
            redis = Redis.from_url(
                self._redis_url, socket_timeout=None, socket_connect_timeout=1, health_check_interval=5
            )
            try:
                async with redis.pubsub() as subscription:
                    await subscription.subscribe(CHANNEL)
                    async for message in subscription.listen():
                        if message["type"] == "message":
                            self._wake(set(heard(message["data"])))
            except (RedisError, OSError) as error:
                log.warning("no news from Redis; waiting jobs are read from SQL", error=str(error))
            finally:
                with contextlib.suppress(RedisError, OSError):
                    await redis.aclose()
            await asyncio.sleep(_REREAD_SECONDS)

    async def _reread(self) -> None:
        while True:
            await asyncio.sleep(_REREAD_SECONDS)
            ids = list(self._waiters)
            for at in range(0, len(ids), _IDS_AT_ONCE):
                page = ids[at : at + _IDS_AT_ONCE]
                with contextlib.suppress(SQLAlchemyError, StoreUnavailable):
                    self._wake(await in_thread(self._ended, page))

    def _ended(self, ids: list[str]) -> set[str]:
        return self._database.read(lambda connection: jobstore.terminal_ids(connection, ids))
