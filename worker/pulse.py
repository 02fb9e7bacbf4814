"""A child's second thread: says that it is warm, keeps its leases, and notices a parent gone deaf."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from redis import Redis
from sqlalchemy.exc import SQLAlchemyError

from shared import jobstore
from shared.broker import queue_of
from shared.database import Database
from shared.jobs import Claim
from shared.logs import get_logger
from shared.presence import BEAT_SECONDS, Note, Presence
from shared.settings import Settings
from worker.registry import ServedModel

log = get_logger(__name__)

_WEIGHT = 0.3  # of the latest batch in the measured seconds per job
_FIRST = 3  # so many batches count alone: the very first is cold, and small ones cost more for each job


class Pulse:
    """Beats until the process ends."""

    def __init__(self, settings: Settings, database: Database, redis: Redis, model: ServedModel, owner: str) -> None:
        self.owner = owner
        self.seconds_per_job: float | None = None
        self._batches = 0  # measured so far
        self.in_session = False
        self._settings = settings
        self._database = database
        self._redis = redis
        self._presence = Presence(redis)
        self._model = model
        self._held: Sequence[Claim] = ()
        self._owed: list[Claim] = []
        self._owing = threading.Lock()
        self._parent = os.getppid()
        self._held_since = 0.0
        self._renewed = 0.0
        self._unheard_since: float | None = None
        self._thread = threading.Thread(target=self._beat_for_ever, name="pulse", daemon=True)

    def start(self) -> None:
        """Begins to beat."""
        self._thread.start()

    def measured(self, seconds_per_job: float) -> None:
        """Takes the cost of the latest batch into the running average."""
        self._batches += 1
        if self.seconds_per_job is None or self._batches <= _FIRST:
            self.seconds_per_job = seconds_per_job
        else:
            self.seconds_per_job += _WEIGHT * (seconds_per_job - self.seconds_per_job)

    @contextmanager
    def holding(self, claims: Sequence[Claim]) -> Iterator[None]:
        """Renews the leases of `claims` meanwhile, for as long as a batch may take at most."""
        self._held_since = self._renewed = time.monotonic()
        self._held = claims
        try:
            yield
        finally:
            self._held = ()

    def hand_back(self, claims: Sequence[Claim]) -> None:
        """Returns claimed jobs uncounted: now, or as soon as SQL answers again."""
        with self._owing:
            self._owed += claims
        try:
            self._settle()
        except SQLAlchemyError as error:
            log.warning("handing back waits for the database", error=str(error).splitlines()[0])

    def leave(self) -> None:
        """Takes this child off the list of warm ones."""
        self._presence.leave(self._model.name, self.owner)

    def _beat_for_ever(self) -> None:
        while True:
            for step in (self._renew_leases, self._settle, self._say_warm, self._watch_parent):
                try:
                    step()
                except Exception as error:  # a thread that ends here would let every lease run out
                    log.warning("pulse missed a step", step=step.__name__.strip("_"), error=str(error))
            time.sleep(min(BEAT_SECONDS, self._settings.lease_seconds / 6))

    def _say_warm(self) -> None:
        note = Note(self.seconds_per_job, self._model.receipt, self._model.public_card)
        self._presence.beat(self._model.name, self.owner, note)
        if self._settings.beat_file:
            self._settings.beat_file.touch()

    def _renew_leases(self) -> None:
        held, now = self._held, time.monotonic()
        if not held or now - self._renewed < self._settings.lease_seconds / 3:
            return
        if now - self._held_since > self._settings.batch_timeout_seconds:
            return  # hung: the lease runs out, others take over
        self._database.write(
            lambda connection: jobstore.renew(connection, held, self.owner, self._settings.lease_seconds)
        )
        self._renewed = now

    def _settle(self) -> None:
        with self._owing:
            if self._owed:
                self._database.write(partial(jobstore.hand_back, claims=self._owed))
                self._owed = []

    def _watch_parent(self) -> None:
        """Ends a parent that leaves a ring unheard beside an idle child: it lost its broker (celery#8030)."""
        if self.in_session or not self._redis.llen(queue_of(self._model.name)):
            self._unheard_since = None
        elif self._unheard_since is None:
            self._unheard_since = time.monotonic()
        elif time.monotonic() - self._unheard_since > self._settings.lease_seconds:
            log.error("the worker does not hear its broker; it ends and is to be started again")
            if os.getppid() == self._parent:
                os.kill(self._parent, signal.SIGKILL)
            os._exit(1)
