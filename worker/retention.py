"""What is kept, and for how long: everything goes on time, and what an interrupted erasure or upload left goes, too."""

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa

from shared import batchstore, jobqueries, jobstore, outbox
from shared.database import Database
from shared.images import ImageStore
from shared.images.incoming import STRAY_SECONDS
from shared.logs import get_logger
from shared.settings import Settings

log = get_logger(__name__)

_ERASE_AT_ONCE = 200
_NOTHING_KEPT = timedelta(hours=1)  # a result of which nothing is to be kept waits so long to be fetched
_KEY_KEPT = timedelta(days=7)  # an idempotency key; callers are promised 24 hours
_PAGE = 1000
_ROUND_SECONDS = 0.5  # of erasing at most, so that leases and deadlines are looked at in time


class Retention:
    """Erases what is past its time, in the name of one courier."""

    def __init__(self, settings: Settings, database: Database, images: ImageStore) -> None:
        self._days = settings.retention_days
        self._database = database
        self._images = images
        self._shard = 0
        self._leftover = ""  # where the walk over left-over images stands
        self._batches_since: datetime | None = None  # and the walk over batches

    def erase(self, now: datetime) -> None:
        """Erases jobs past their retention, and the images of jobs that keep none; frees old idempotency keys."""
        end = time.monotonic() + _ROUND_SECONDS
        erasures = [partial(jobqueries.fleeting_ids, before=now - _NOTHING_KEPT, size=_ERASE_AT_ONCE)]
        if self._days:
            before = now - timedelta(days=self._days)
            erasures.append(partial(jobqueries.expired_ids, before=before, size=_ERASE_AT_ONCE))
        steps: list[Callable[[], int]] = [partial(self._erase_jobs, ids) for ids in erasures]
        steps += [self._spend, self._bury_leftovers]
        for step in steps:
            while step() == _ERASE_AT_ONCE and time.monotonic() < end:
                pass
        self._database.write(partial(jobstore.forget_keys, before=now - _KEY_KEPT))
        self._database.write(partial(batchstore.forget_keys, before=now - _KEY_KEPT))
        if self._days:
            self._database.write(partial(outbox.purge, before=now - timedelta(days=self._days)))

    def sweep(self, now: datetime) -> None:
        """Removes batches of which nothing is left, and what uploads left that broke off.

        200 batches a call, and one folder of 256: a call costs the same however much is kept.
        """
        step = partial(batchstore.erase_emptied, before=now - _NOTHING_KEPT, since=self._batches_since)
        self._batches_since = self._database.write(step)
        self._shard += 1
        old = self._images.shard(self._shard, STRAY_SECONDS)
        for at in range(0, len(old), _PAGE):
            page = old[at : at + _PAGE]
            for id_ in self._database.read(partial(jobqueries.without_image, ids=page)):
                self._images.delete(id_)

    def _erase_jobs(self, past_their_time: "partial[list[str]]") -> int:
        if not self._database.read(past_their_time):
            return 0

        def erase(connection: sa.Connection) -> int:
            # asked again, and held: a job that is retried meanwhile is no longer past its time
            ids = past_their_time(connection, lock=True)
            jobstore.erase(connection, ids)
            return len(ids)

        return self._database.write(erase, durable=True)

    def _spend(self) -> int:
        spent = self._database.write(partial(jobstore.spend_images, size=_ERASE_AT_ONCE))
        self._delete(spent)  # what breaks off here is swept
        return len(spent)

    def _bury_leftovers(self) -> int:
        gone = self._database.read(partial(jobqueries.leftover_image_ids, after=self._leftover, size=_ERASE_AT_ONCE))
        self._leftover = gone[-1] if len(gone) == _ERASE_AT_ONCE else ""
        if deleted := self._delete(gone):
            self._database.write(partial(jobstore.forget_images, ids=deleted))
        return len(gone)

    def _delete(self, ids: Iterable[str]) -> list[str]:
        deleted = []
        for id_ in ids:
            try:
                self._images.delete(id_)
            except OSError as error:
                log.error("an image that is to go could not be removed", job=id_, error=str(error))
            else:
                deleted.append(id_)
        return deleted
