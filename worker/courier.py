"""Who picks up what was dropped: a plain loop that needs neither broker nor model. Several may run.

Each round: put back into the line what SQL says is queued and the line lacks, ring where somebody waits,
requeue what lapsed, end what nobody serves or whose deadline has passed, erase what is past its time
(`worker.retention`). Beside it, in a thread of its own, webhooks are sent (`worker.delivery`).
"""

import itertools
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa
from redis import Redis, RedisError
from sqlalchemy.exc import SQLAlchemyError

from shared import jobqueries, jobstore, outbox
from shared.broker import Bell, connect_redis, make_celery
from shared.database import Database
from shared.errors import OperatorError
from shared.images import open_images
from shared.jobs import Job, Queued
from shared.line import Line
from shared.logs import configure_logging, get_logger
from shared.metrics import count_attempt, note_lateness
from shared.models import served_model_name
from shared.netguard import parse_networks
from shared.settings import Settings, load_settings
from worker.delivery import deliver_for_ever
from worker.recovery import report_lost
from worker.retention import Retention
from worker.sending import Sender

log = get_logger(__name__)

_PAGE = 1000
_ROUND_SECONDS = 0.5  # of auditing at most: an unbroken stretch of lost jobs is mended page after page
_MODEL_GONE_SECONDS = 3600
_SWEEP_ROUNDS = 30  # with 256 folders, everything is looked at every two hours


class Courier:
    """The state of one courier: where its audit stands, and since when it sees."""

    def __init__(self, settings: Settings, database: Database, line: Line, bell: Bell) -> None:
        self._settings = settings
        self._database = database
        self._line = line
        self._bell = bell
        self._cursor = ""
        self._served = served_model_name(settings)
        self._models = {self._served}
        self._last_seen: datetime | None = None
        self._sees_since: datetime | None = None

    def audit(self) -> None:
        """Walks queued rows page by page and puts back into the line what does not stand there; rings."""
        end = time.monotonic() + _ROUND_SECONDS
        while True:
            page = self._database.read(partial(jobqueries.queued_page, after_id=self._cursor, size=_PAGE))
            self._cursor = page[-1].id if len(page) == _PAGE else ""
            mended = self._mend(page)
            if not mended or not self._cursor or time.monotonic() > end:
                break
        for model in self._models:
            if self._line.depth(model):
                self._bell.ring(model)

    def abandon(self, now: datetime) -> list[Job]:
        """Ends jobs whose model nobody has served for an hour: 202 said that they would end."""
        before = now - timedelta(seconds=_MODEL_GONE_SECONDS)
        unserved = partial(jobqueries.unserved_ids, served=[self._served], before=before, size=1)
        if not self._database.read(unserved):
            return []
        return self._end_waiting(partial(jobstore.abandon, served=[self._served], before=before))

    def end_late(self) -> list[Job]:
        """Ends jobs that no worker has taken before their deadline."""
        return self._end_waiting(jobstore.expire)

    def expire(self, now: datetime) -> list[Job]:
        """Requeues, or gives up, jobs whose lease ran out before `now`, the database's time.

        After a time in which this courier saw nothing, workers may have been as blind: it waits a full
        lease, in which the living renew theirs.
        """
        lease = timedelta(seconds=self._settings.lease_seconds)
        blind = timedelta(seconds=max(self._settings.lease_seconds / 2, 2 * self._settings.audit_seconds + 5))
        if self._last_seen is None or now - self._last_seen > blind:
            self._sees_since = now
        self._last_seen = now
        if self._sees_since is None or now - self._sees_since < lease:
            return []
        return self._database.write(partial(jobstore.requeue_lapsed, now=now), durable=True)

    def _end_waiting(self, move: Callable[[sa.Connection], list[Job]]) -> list[Job]:
        ended = self._database.write(move, durable=True)
        self._line.leave(job.queued() for job in ended)
        return ended

    def _mend(self, page: list[Queued]) -> bool:
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
    courier = Courier(settings, database, Line(redis), bell)
    retention = Retention(settings, database, open_images(settings))
    deliveries = _start_deliveries(settings, database, redis, stop)
    for number in itertools.count():
        if stop.wait(settings.audit_seconds):
            deliveries.join()
            return
        steps: list[Callable[[], None]] = [
            courier.audit,
            lambda: report_lost(redis, courier.expire(database.read(jobqueries.now))),
            lambda: report_lost(redis, courier.end_late()),
            lambda: retention.erase(database.read(jobqueries.now)),
            lambda: note_lateness(redis, database.read(outbox.late_seconds)),
        ]
        if number % _SWEEP_ROUNDS == 0:
            steps += [
                lambda: retention.sweep(database.read(jobqueries.now)),
                lambda: report_lost(redis, courier.abandon(database.read(jobqueries.now))),
            ]
        failed = False
        for step in steps:  # each on its own: whatever ails one, the others still heal
            try:
                step()
            except (RedisError, SQLAlchemyError, OSError) as error:
                log.warning("a step of the courier failed", error=str(error).splitlines()[0])
                failed = True
            except Exception as error:
                log.error("a step of the courier failed", exc_info=error)
                failed = True
        if not deliveries.is_alive():
            log.error("the thread that sends webhooks has ended; so does the courier, to be started again")
            return
        if settings.beat_file and not failed:
            settings.beat_file.touch()


def _start_deliveries(settings: Settings, database: Database, redis: Redis, stop: threading.Event) -> threading.Thread:
    def count(outcome: str) -> None:
        with suppress(RedisError):  # a number less in the metrics
            count_attempt(redis, outcome)

    sender = Sender(parse_networks(settings.webhook_allow_networks), settings.webhook_ca_file)
    thread = threading.Thread(target=deliver_for_ever, args=(database, sender, count, stop), name="deliveries")
    thread.start()
    return thread


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
