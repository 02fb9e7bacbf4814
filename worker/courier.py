"""Who picks up what was dropped: a plain loop that needs neither broker nor model. Several may run.

Each round: put back into the line what SQL says is queued and the line lacks, ring where somebody waits,
requeue what lapsed, erase what is past its time.
"""

import itertools
import signal
import threading
import time
from datetime import datetime, timedelta
from functools import partial

from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from shared import jobstore
from shared.broker import Bell, connect_redis, make_celery
from shared.database import Database
from shared.errors import OperatorError
from shared.images import LocalImages
from shared.jobs import Job, NewJob
from shared.line import Line
from shared.logs import configure_logging, get_logger
from shared.models import served_model_name
from shared.settings import Settings, load_settings
from worker.recovery import report_lost

log = get_logger(__name__)

_PAGE = 1000
_ROUND_SECONDS = 0.5  # of auditing at most: an unbroken stretch of lost jobs is mended page after page
_ERASE_AT_ONCE = 200
_SWEEP_ROUNDS = 30  # with 256 folders, everything is looked at every two hours
_STRAY_SECONDS = 3600  # no upload takes an hour between its file and its row


class Courier:
    """The state of one courier: where its audit stands, and since when it sees."""

    def __init__(self, settings: Settings, database: Database, line: Line, bell: Bell, images: LocalImages) -> None:
        self._settings = settings
        self._database = database
        self._line = line
        self._bell = bell
        self._images = images
        self._cursor = ""
        self._shard = 0
        self._models = {served_model_name(settings)}
        self._last_seen: datetime | None = None
        self._sees_since: datetime | None = None

    def audit(self) -> None:
        """Walks queued rows page by page and puts back into the line what does not stand there; rings."""
        end = time.monotonic() + _ROUND_SECONDS
        while True:
            page = self._database.read(partial(jobstore.queued_page, after_id=self._cursor, size=_PAGE))
            self._cursor = page[-1].id if len(page) == _PAGE else ""
            mended = self._mend(page)
            if not mended or not self._cursor or time.monotonic() > end:
                break
        for model in self._models:
            if self._line.depth(model):
                self._bell.ring(model)

    def expire(self, now: datetime) -> list[Job]:
        """Requeues, or gives up, jobs whose lease ran out before `now`, the database's time.

        After a time in which this courier saw nothing, workers may have been as blind: it waits a full
        lease, in which the living renew theirs.
        """
        lease = timedelta(seconds=self._settings.lease_seconds)
        if self._last_seen is None or now - self._last_seen > lease / 2:
            self._sees_since = now
        self._last_seen = now
        if self._sees_since is None or now - self._sees_since < lease:
            return []
        return self._database.write(partial(jobstore.requeue_lapsed, now=now), durable=True)

    def erase(self, now: datetime) -> None:
        """Erases jobs past their retention, and images whose erasure was interrupted."""
        if self._settings.retention_days:
            before = now - timedelta(days=self._settings.retention_days)
            ids = self._database.read(lambda connection: jobstore.expired_ids(connection, before, _ERASE_AT_ONCE))
            if ids:
                self._database.write(lambda connection: jobstore.erase(connection, ids), durable=True)
        gone = self._database.read(lambda connection: jobstore.leftover_image_ids(connection, _ERASE_AT_ONCE))
        for id_ in gone:
            self._images.delete(id_)
        if gone:
            self._database.write(lambda connection: jobstore.forget_images(connection, gone))

    def sweep(self) -> None:
        """Removes what uploads left that broke off before their row was written; one folder of 256 a call."""
        self._shard += 1
        old = self._images.shard(self._shard, _STRAY_SECONDS)
        for at in range(0, len(old), _PAGE):
            page = old[at : at + _PAGE]
            for id_ in self._database.read(partial(jobstore.without_image, ids=page)):
                self._images.delete(id_)

    def _mend(self, page: list[NewJob]) -> bool:
        models = {job.model for job in page}
        self._models |= models
        missing: set[str] = set()
        for model in models:
            missing |= self._line.missing(model, [job.id for job in page if job.model == model])
        self._line.join(job for job in page if job.id in missing)
        return bool(missing)


def run(settings: Settings, stop: threading.Event) -> None:
    """The courier's loop, until `stop` is set; a fault of SQL or Redis costs a round, not the process."""
    redis = connect_redis(settings.redis_url)
    database = Database(settings.sql_url)
    bell = Bell(make_celery(settings), redis)
    courier = Courier(settings, database, Line(redis), bell, LocalImages(settings.images_dir))
    for number in itertools.count():
        if stop.wait(settings.audit_seconds):
            return
        try:
            now = database.read(jobstore.now)
            report_lost(redis, courier.expire(now))
            courier.erase(now)
            courier.audit()
            if number % _SWEEP_ROUNDS == 0:
                courier.sweep()
        except (RedisError, SQLAlchemyError, OSError) as error:
            log.warning("a round of the courier failed", error=str(error).splitlines()[0])
        except Exception as error:  # whatever it is, the next round still heals what it can
            log.error("a round of the courier failed", exc_info=error)


def main() -> int:
    """Runs until SIGTERM or SIGINT."""
    try:
        settings = load_settings()
        configure_logging(settings.log_level)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        run(settings, stop)
    except OperatorError as error:
        log.error(str(error))
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
