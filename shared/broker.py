"""Redis connections, and the Celery doorbell: a message says "this model has work" and carries no ids."""

import time
from typing import Any, Self

from celery import Celery
from kombu.exceptions import KombuError
from redis import ConnectionError, Redis, RedisError, TimeoutError  # noqa: A004 - they are named so
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.errors import OperatorError
from shared.settings import Settings

SESSION_TASK = "turno.session"
_TIMEOUT_SECONDS = 0.5  # a request must never hang on a dead Redis (celery/celery#4296, #4556)


_QUIET_SECONDS = 2.0  # after an answer that did not come in time


class Breaker(Retry):
    """One immediate retry of a broken connection; a server that does not answer in time is left alone for a while.

    The retry: the pool's connection may be left over from before a restart of the server. The breaker: whoever waited
    for nothing spares those behind them the same wait.
    """

    def __init__(self) -> None:
        super().__init__(NoBackoff(), 1, supported_errors=(ConnectionError,))
        self._quiet_until = 0.0

    def __deepcopy__(self, _: object) -> Self:
        return self  # redis-py copies it into each connection; the state is the server's

    def call_with_retry(self, *arguments: Any, **options: Any) -> Any:
        """See `Retry.call_with_retry`.

        Raises:
            ConnectionError: at once, while the server is left alone.
        """
        if time.monotonic() < self._quiet_until:
            raise ConnectionError("Redis did not answer a moment ago.")
        try:
            return super().call_with_retry(*arguments, **options)
        except TimeoutError:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            raise


def connect_redis(url: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> Redis:
    """A client that answers or fails within about a second; connects on first use."""
    require_redis_url(url)
    return Redis.from_url(
        url,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Breaker(),
        health_check_interval=15,
    )


def require_redis_url(url: str) -> str:
    """The same address.

    Raises:
        OperatorError: it is empty.
    """
    if not url:
        raise OperatorError("REDIS_URL is not set: give a Redis server, or start everything with `python -m turno up`.")
    return url


def make_celery(settings: Settings, **changes: Any) -> Celery:
    """The Celery application as publishers see it; the worker adds its own settings as `changes`."""
    url = require_redis_url(settings.redis_url)
    app = Celery("turno", set_as_current=False)
    app.conf.update(
        broker_url="redis+socket://" + url.removeprefix("unix://") if url.startswith("unix://") else url,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "socket_timeout": _TIMEOUT_SECONDS,
            "socket_connect_timeout": _TIMEOUT_SECONDS,
            "max_retries": 0,
        },
        task_ignore_result=True,  # results live in SQL, under the job's id
        task_serializer="json",
        accept_content=["json"],
        task_publish_retry=False,
        task_default_queue=queue_of("none"),
        enable_utc=True,
    )
    app.conf.update(changes)
    return app


def queue_of(model: str) -> str:
    """The Celery queue, and so the Redis list, in which a model's bell rings."""
    return f"turno:{{{model}}}:bell"


class Bell:
    """Wakes a worker; rings only when no ring is waiting to be heard."""

    def __init__(self, celery: Celery, redis: Redis) -> None:
        self._celery = celery
        self._redis = redis

    def ring(self, model: str) -> None:
        """Publishes one message for `model` unless one waits; two callers at once may publish two: harmless.

        Raises:
            RedisError: Redis does not answer.
        """
        queue = queue_of(model)
        if self._redis.llen(queue):
            return
        try:
            self._celery.send_task(SESSION_TASK, args=[model], queue=queue, retry=False, ignore_result=True)
        except KombuError as error:
            raise RedisError(str(error)) from error
