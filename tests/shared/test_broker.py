"""A Redis that hangs costs one wait, not one for everybody."""

from pathlib import Path

import psutil
import pytest
from redis import ConnectionError as RedisConnectionError
from redis import TimeoutError as RedisTimeoutError

from shared import broker
from shared.broker import connect_redis
from tests.redis_server import RedisServer
from tests.waiting import wait_for


def test_who_waited_in_vain_spares_the_next_the_same(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_QUIET_SECONDS", 3)
    server = RedisServer(short_folder)
    server.start()
    redis = connect_redis(server.url)
    try:
        redis.ping()
        process = psutil.Process(server.pid)
        process.suspend()
        with pytest.raises(RedisTimeoutError):
            redis.ping()
        for _ in range(20):
            with pytest.raises(RedisConnectionError, match="a moment ago"):
                redis.ping()
        process.resume()
        wait_for(lambda: _answers(redis), "Redis to be asked again")
    finally:
        server.kill()


def test_a_connection_from_before_a_restart_is_no_fault(short_folder: Path) -> None:
    server = RedisServer(short_folder)
    server.start()
    redis = connect_redis(server.url)
    redis.ping()
    server.kill()
    server.start()
    assert redis.ping()
    server.kill()


def _answers(redis: object) -> bool:
    try:
        return bool(redis.ping())  # type: ignore[attr-defined]
    except RedisConnectionError:
        return False
