"""Waiting for jobs to move without a thread: one Redis subscription and one reader for all watchers of the process.

What is announced (`shared.changes`) and watched is read from SQL in one query for all its watchers, and each is handed
the job. Announcements may be lost: once a second the versions of all watched jobs are compared with SQL.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import sqlalchemy as sa
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from api.stopping import told_to_stop
from api.threads import in_thread
from shared import changes, jobqueries
from shared.broker import connect_redis
from shared.database import Database
from shared.errors import StoreUnavailable
from shared.jobs import Job
from shared.logs import get_logger

log = get_logger(__name__)

T = TypeVar("T")
_REREAD_SECONDS = 1.0
_IDS_AT_ONCE = 500
_CONNECT_SECONDS = 1
_MOVES = changes.CHANNEL.encode()


class Watch:
    """One watcher's job, as it was last read."""

    def __init__(self, job: Job, *, to_the_end: bool = False) -> None:
        self.job: Job | None = job  # None: it has no row any more
        self.to_the_end = to_the_end  # what happens before it is no news
        self._news = asyncio.Event()

    @property
    def version(self) -> int | None:
        """The version last read; None when there is no row."""
        return self.job.version if self.job else None

    def take(self, job: Job | None) -> None:
        """Takes a newer state over and wakes the watcher; an older one, or the same, is no news."""
        if self.job is not None and (job is None or job.version > self.job.version):
            self.job = job
            self.wake()

    def wake(self) -> None:
        """Lets the watcher look around."""
        self._news.set()

    async def news(self, most_seconds: float) -> bool:
        """Waits for something to look at; False when nothing came in time."""
        try:
            async with asyncio.timeout(most_seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True


class Waiting:
    """The watchers of one API process."""

    def __init__(self, database: Database, redis_url: str) -> None:
        self.stopping = False  # watchers are to answer with what they have: the process ends
        self._database = database
        self._redis_url = redis_url
        self._redis = connect_redis(redis_url)  # for what this process announces
        self._watches: dict[str, set[Watch]] = defaultdict(set)
        self._due: set[str] = set()  # ids to be read
        self._any_due = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._signals = contextlib.ExitStack()
        self._line_trouble = _Trouble("no news from Redis; watched jobs are read from SQL")
        self._store_trouble = _Trouble("the database does not tell how watched jobs stand")

    def start(self) -> None:
        """Begins to listen; to be called on the event loop."""
        self._signals.enter_context(told_to_stop(self._let_go))
        self._tasks = [asyncio.create_task(work()) for work in (self._listen, self._compare, self._read)]

    async def stop(self) -> None:
        """Ends listening."""
        self._signals.close()
        self._let_go()
        # again and again: a cancellation that meets redis-py's connecting is swallowed there
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=0.1)

    @contextlib.contextmanager
    def watching(self, job: Job, *, to_the_end: bool = False) -> Iterator[Watch]:
        """Keeps a job in view; whatever happened to it since it was read is news, too."""
        watch = Watch(job, to_the_end=to_the_end)
        self._watches[job.id].add(watch)
        self._ask_for([job.id])
        try:
            yield watch
        finally:
            self._watches[job.id].discard(watch)
            if not self._watches[job.id]:
                del self._watches[job.id]

    async def ended(self, job: Job, most_seconds: float) -> Job | None:
        """The job once it has ended, or as it stands when the wait is over; None when its row is gone."""
        loop = asyncio.get_running_loop()
        end = loop.time() + most_seconds
        with self.watching(job, to_the_end=True) as watch:
            while watch.job and not watch.job.terminal and not self.stopping:
                if not await watch.news(end - loop.time()):
                    break
            return watch.job

    async def announce(self, ids: Sequence[str]) -> None:
        """Tells every process that these jobs moved; without Redis, the others find out within a second."""
        self._ask_for(ids)  # our own watchers need no Redis for it
        with contextlib.suppress(RedisError, StoreUnavailable):
            await in_thread(changes.announce, self._redis, ids)

    def count(self) -> int:
        """How many wait or watch now."""
        return sum(map(len, list(self._watches.values())))

    def _let_go(self) -> None:
        self.stopping = True
        for watches in self._watches.values():
            for watch in watches:
                watch.wake()

    def _wants_starts(self, id_: str) -> bool:
        return any(not watch.to_the_end for watch in self._watches.get(id_, ()))

    def _ask_for(self, ids: Iterable[str]) -> None:
        self._due |= self._watches.keys() & ids
        if self._due:
            self._any_due.set()

    async def _listen(self) -> None:
        while True:
            redis = Redis.from_url(
                self._redis_url,
                socket_timeout=None,
                socket_connect_timeout=_CONNECT_SECONDS,
                health_check_interval=5,
                retry=Retry(NoBackoff(), 0),  # this loop is the retry
            )
            try:
                async with redis.pubsub() as subscription:
                    await subscription.subscribe(changes.CHANNEL, changes.STARTS)
                    async for message in subscription.listen():
                        self._line_trouble.over()
                        if message["type"] == "message":
                            ids = changes.heard(message["data"])
                            self._ask_for(ids if message["channel"] == _MOVES else filter(self._wants_starts, ids))
            except Exception as error:  # whatever it is, SQL is compared meanwhile
                self._line_trouble.note(error)
            finally:
                with contextlib.suppress(RedisError, OSError):
                    await redis.aclose()
            await asyncio.sleep(_REREAD_SECONDS)

    async def _compare(self) -> None:
        while True:
            await asyncio.sleep(_REREAD_SECONDS)
            async for page, versions in self._asked(jobqueries.versions, self._watches):
                self._ask_for(
                    id_
                    for id_ in page
                    if any(watch.version != versions.get(id_) for watch in self._watches.get(id_, ()))
                )

    async def _read(self) -> None:
        while True:
            await self._any_due.wait()
            self._any_due.clear()
            due, self._due = self._due, set()  # what is announced meanwhile is read together, in the next round
            async for page, jobs in self._asked(jobqueries.get, due & self._watches.keys()):
                found = {job.id: job for job in jobs}
                for id_ in page:
                    for watch in self._watches.get(id_, ()):
                        watch.take(found.get(id_))

    async def _asked(
        self, question: Callable[[sa.Connection, list[str]], T], ids: Iterable[str]
    ) -> AsyncIterator[tuple[list[str], T]]:
        """What SQL says of these ids, page by page; a database that fails costs this round, and no more."""
        every = list(ids)
        try:
            for at in range(0, len(every), _IDS_AT_ONCE):
                page = every[at : at + _IDS_AT_ONCE]
                yield page, await in_thread(self._query, question, page)
                self._store_trouble.over()
        except Exception as error:  # whatever it is, the next round asks again
            self._store_trouble.note(error)

    def _query(self, question: Callable[[sa.Connection, list[str]], T], ids: list[str]) -> T:
        return self._database.read(lambda connection: question(connection, ids))


class _Trouble:
    """Says once that something fails, and once that it works again."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence
        self._lasts = False

    def note(self, error: Exception) -> None:
        if not self._lasts:
            log.warning(self._sentence, error=str(error).splitlines()[0] if str(error) else type(error).__name__)
        self._lasts = True

    def over(self) -> None:
        if self._lasts:
            log.info("it works again", after=self._sentence)
        self._lasts = False
