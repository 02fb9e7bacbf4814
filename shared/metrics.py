"""What is measured: counters that workers keep in Redis, and gauges read when Prometheus asks.

Redis rather than files or process memory: workers come and go, and every API process must give the same numbers.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis, RedisError

from shared.jobs import JobStatus, Outcome
from shared.line import Line
from shared.presence import Presence

_FINISHED = "turno:finished"
_ATTEMPTS = "turno:webhook-attempts"
_LATE = "turno:webhook-late"
_LATE_KNOWN_SECONDS = 60
_SUCCEEDED = str(JobStatus.SUCCEEDED)


def count_finished(redis: Redis, codes: Iterable[str | None]) -> None:
    """Adds ended jobs to the totals; the code is None for a success."""
    with redis.pipeline(transaction=False) as pipeline:
        for code, number in Counter(codes).items():
            pipeline.hincrby(_FINISHED, code or _SUCCEEDED, number)
        pipeline.execute()


def count_attempt(redis: Redis, outcome: str) -> None:
    """Adds one attempt to deliver a webhook to the totals."""
    redis.hincrby(_ATTEMPTS, outcome, 1)


def note_lateness(redis: Redis, seconds: float) -> None:
    """Says for how long the webhook that is due for longest has been due."""
    redis.set(_LATE, seconds, ex=_LATE_KNOWN_SECONDS)


def codes_of(outcomes: Sequence[Outcome]) -> list[str | None]:
    """The error codes of outcomes, None for each success."""
    return [outcome.error_code for outcome in outcomes]


class ServiceCollector(Collector):
    """Line, workers and totals, as Redis holds them at the moment of the scrape."""

    def __init__(self, redis: Redis, line: Line, presence: Presence, model: str) -> None:
        self._redis = redis
        self._line = line
        self._presence = presence
        self._model = model

    def collect(self) -> Iterable[Metric]:
        """The families; only `turno_line_up 0` when Redis does not answer."""
        up = GaugeMetricFamily("turno_line_up", "1 when Redis answered this scrape.")
        try:
            families = self._families()
            up.add_metric([], 1)
        except RedisError:
            families = []
            up.add_metric([], 0)
        return [up, *families]

    def _families(self) -> list[Metric]:
        depth = GaugeMetricFamily("turno_line_depth", "Jobs waiting in the line.", labels=["model"])
        depth.add_metric([self._model], self._line.depth(self._model))
        notes = self._presence.warm(self._model)
        warm = GaugeMetricFamily("turno_workers_warm", "Worker children with the model warm.", labels=["model"])
        warm.add_metric([self._model], len(notes))
        cost = GaugeMetricFamily(
            "turno_job_seconds", "Measured seconds of one worker for one job, running average.", labels=["model"]
        )
        measured = [note.seconds_per_job for note in notes if note.seconds_per_job is not None]
        if measured:
            cost.add_metric([self._model], sum(measured) / len(measured))
        finished = CounterMetricFamily(
            "turno_jobs_finished", "Jobs that ended, by status and error code.", labels=["status", "code"]
        )
        totals: dict[Any, Any] = self._redis.hgetall(_FINISHED)
        for code, number in totals.items():
            name = code.decode()
            status = _SUCCEEDED if name == _SUCCEEDED else str(JobStatus.FAILED)
            finished.add_metric([status, "" if name == _SUCCEEDED else name], int(number))
        attempts = CounterMetricFamily(
            "turno_webhook_attempts", "Attempts to deliver a webhook: delivered, retried, failed.", labels=["outcome"]
        )
        tried: dict[Any, Any] = self._redis.hgetall(_ATTEMPTS)
        for outcome, number in tried.items():
            attempts.add_metric([outcome.decode()], int(number))
        late = GaugeMetricFamily(
            "turno_webhook_late_seconds",
            "For how long the webhook that is due for longest has been; absent: no courier.",
        )
        if (seconds := self._redis.get(_LATE)) is not None:
            late.add_metric([], float(seconds))
        return [depth, warm, cost, finished, attempts, late]
