"""How much waits, how fast it goes, and whether there is room for more."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from api.intake import Intake
from api.threads import in_thread
from shared import jobqueries
from shared.database import Database
from shared.errors import QueueFull, StoreUnavailable, UploadTooLarge
from shared.line import Line
from shared.presence import Presence
from shared.settings import Settings

_LOOK_SECONDS = 1.0
_NEARLY_FULL = 0.9  # from here on every submission looks for itself
_TRIES = 5  # to count while nobody joins the line
_RETRY_MAX_SECONDS = 3600
_RETRY_UNKNOWN_SECONDS = 60  # nothing was measured, or no worker is there


class Backlog:
    """What waits for the served model, as one API process sees it."""

    def __init__(
        self, settings: Settings, database: Database, line: Line, presence: Presence, intake: Intake, model: str
    ) -> None:
        self._settings = settings
        self._database = database
        self._line = line
        self._presence = presence
        self._intake = intake
        self._model = model
        self._entering = 0  # submissions that are being received
        self._admitted = 0  # images so far
        self._found = 0  # waiting, as of the latest look
        self._found_at = 0  # how many had been admitted then
        self._looked_at = -math.inf
        self._oldest_seconds = 0.0
        self._rate: float | None = None

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Holds a place for one submission while it is received.

        Raises:
            QueueFull: as many jobs wait as may, or one has waited for too long.
        """
        await self.require_room(1)
        self._entering += 1
        try:
            yield
        finally:
            self._entering -= 1

    async def require_room(self, images: int, *, held: int = 0) -> None:
        """Passes if so many images more may wait, and counts them as waiting.

        Args:
            images: how many want to.
            held: for how many of them `room` holds a place already.

        Raises:
            QueueFull: says when to come back.
            UploadTooLarge: there would never be.
        """
        if images > self._settings.queue_max:
            raise UploadTooLarge(f"{images:,} images are more than may ever wait here ({self._settings.queue_max:,}).")
        images -= held
        nearly = self._waiting() + images > self._settings.queue_max * _NEARLY_FULL
        now = asyncio.get_running_loop().time()
        if nearly or now - self._looked_at > _LOOK_SECONDS:
            self._looked_at = now
            # whoever cannot be asked is taken for what it was: a store that is away refuses by itself
            with suppress(SQLAlchemyError, StoreUnavailable):
                entering, admitted = self._entering, self._admitted
                self._found, self._found_at = entering + await in_thread(self._look), admitted
        if (over := self._waiting() + images - self._settings.queue_max) > 0:
            raise QueueFull(f"{self._settings.queue_max:,} images may wait, and do.", self._retry_seconds(over))
        if self._oldest_seconds > self._settings.queue_max_age_seconds:
            raise QueueFull(
                f"An image has waited for {self._oldest_seconds:,.0f} s: the workers do not keep up, or none is there.",
                self._retry_seconds(self._waiting()),
            )
        self._admitted += images

    def _waiting(self) -> int:
        return self._found + self._admitted - self._found_at

    def _look(self) -> int:
        self._oldest_seconds = self._database.read(partial(jobqueries.longest_wait_seconds, model=self._model))
        try:
            self._rate = self._presence.jobs_per_second(self._model)
            for _ in range(_TRIES):
                on_the_way, changes = self._intake.on_the_way()
                depth = self._line.depth(self._model)
                if self._intake.on_the_way()[1] == changes:
                    break
            return on_the_way + depth  # who joined meanwhile is counted twice rather than not at all
        except RedisError:  # SQL has to count them, at most up to what is too many
            most = self._settings.queue_max
            return self._database.read(lambda connection: jobqueries.queued_count(connection, most))

    def _retry_seconds(self, jobs: int) -> int:
        if self._rate is None:
            return _RETRY_UNKNOWN_SECONDS
        return max(1, min(_RETRY_MAX_SECONDS, math.ceil(jobs / self._rate)))
