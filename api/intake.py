"""How an accepted upload becomes a job: one thread commits rows in groups, another puts them into the line.

A submission waits for its commit, never for Redis.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError

from api.threads import MOST_SECONDS
from shared import jobstore
from shared.broker import Bell
from shared.database import Database
from shared.errors import StoreUnavailable
from shared.jobs import NewJob, Queued
from shared.line import Line
from shared.logs import get_logger

log = get_logger(__name__)

_GROUP = 256
_WAITING = 2000
_LAST_SECONDS = 5
# while several come at once: a commit takes 1.1 ms of CPU, however few its rows, and each row 0.03 to 0.09
_GATHERING_SECONDS = 0.002
_QUIET_SECONDS = 1.0  # after a Redis fault: the courier puts jobs into the line meanwhile


@dataclass(frozen=True, slots=True)
class _Submission:
    job: NewJob
    done: "asyncio.Future[bool]"


class Intake:
    """The committer and the usher of one API process."""

    def __init__(self, database: Database, line: Line, bell: Bell) -> None:
        self._database = database
        self._line = line
        self._bell = bell
        self._submissions: queue.SimpleQueue[_Submission | None] = queue.SimpleQueue()
        self._committed: queue.SimpleQueue[Sequence[Queued] | None] = queue.SimpleQueue()
        self._on_the_way = self._changes = 0
        self._counting = threading.Lock()
        self._threads = [
            threading.Thread(target=self._commit_for_ever, name="committer", daemon=True),
            threading.Thread(target=self._usher_for_ever, name="usher", daemon=True),
        ]

    def start(self) -> None:
        """Begins to take submissions."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Commits and ushers what is waiting, then ends."""
        self._submissions.put(None)
        for thread in self._threads:
            thread.join(_LAST_SECONDS)  # a database that is frozen must not keep the process

    async def submit(self, job: NewJob) -> bool:
        """Returns when the job's row is durable; False when there was one already with its id, key or client's id.

        Raises:
            StoreUnavailable: it could not be written; or not in time, and then it may yet be.
        """
        if self._submissions.qsize() >= _WAITING:
            raise StoreUnavailable
        submission = _Submission(job, asyncio.get_running_loop().create_future())
        self._submissions.put(submission)
        try:
            async with asyncio.timeout(MOST_SECONDS):
                # who gives up, or goes away, takes the submission along, unless it is being committed
                return await submission.done
        except TimeoutError as error:
            raise StoreUnavailable from error

    def hurry(self, jobs: Sequence[Queued]) -> None:
        """Puts rows that are queued already into the line, without waiting for the courier."""
        self._count(len(jobs))
        self._committed.put(jobs)

    def on_the_way(self) -> tuple[int, int]:
        """How many jobs have their row and do not stand in the line yet, and how often that number has changed."""
        with self._counting:
            return self._on_the_way, self._changes

    def _count(self, change: int) -> None:
        with self._counting:
            self._on_the_way += change
            self._changes += 1

    def _commit_for_ever(self) -> None:
        group: list[_Submission] = []
        while True:
            # who comes alone does not wait for others
            group, last = self._next_group(_GATHERING_SECONDS if len(group) > 1 else 0.0)
            if group:
                self._commit(group)
            if last:
                self._committed.put(None)
                return

    def _next_group(self, gathering_seconds: float) -> tuple[list[_Submission], bool]:
        group: list[_Submission] = []
        item = self._submissions.get()
        if gathering_seconds:
            time.sleep(gathering_seconds)
        with contextlib.suppress(queue.Empty):
            while item is not None:
                if not item.done.cancelled():
                    group.append(item)
                if len(group) == _GROUP:
                    return group, False
                item = self._submissions.get_nowait()
            return group, True
        return group, False

    def _commit(self, group: list[_Submission]) -> None:
        try:
            landed = self._write([submission.job for submission in group])
        except Exception as error:  # a committer that ends here would leave every later caller waiting
            if len(group) > 1 and not isinstance(error, OperationalError):  # one bad row must not take the others along
                for submission in group:
                    self._commit([submission])
                return
            log.error("jobs could not be written", jobs=[one.job.id for one in group], exc_info=error)
            _settle(group, None)
            return
        self.hurry([submission.job for submission in group if submission.job.id in landed])
        _settle(group, landed)

    def _write(self, jobs: list[NewJob]) -> set[str]:
        return self._database.write(lambda connection: jobstore.add(connection, jobs), durable=True)

    def _usher_for_ever(self) -> None:
        quiet_until = 0.0
        while (jobs := self._committed.get()) is not None:
            try:
                if time.monotonic() >= quiet_until:
                    self._line.join(jobs)
                    for model in {job.model for job in jobs}:
                        self._bell.ring(model)
            except Exception as error:  # an usher that ends here would leave every later job to the courier
                quiet_until = time.monotonic() + _QUIET_SECONDS
                log.warning("the line does not answer; the courier will put jobs into it", error=str(error))
            finally:
                self._count(-len(jobs))


def _settle(group: list[_Submission], landed: set[str] | None) -> None:
    """Tells all of a group, in one call, whether their ids are among those that landed; None: it is not known."""

    def settle() -> None:
        for submission in group:
            if submission.done.cancelled():
                continue
            if landed is None:
                submission.done.set_exception(StoreUnavailable())
            else:
                submission.done.set_result(submission.job.id in landed)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        group[0].done.get_loop().call_soon_threadsafe(settle)
