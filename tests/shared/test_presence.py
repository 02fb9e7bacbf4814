"""Which workers count as warm."""

import time

import pytest

from shared.presence import Note, Presence
from tests.redis_server import RedisServer

NOTE = Note(0.25, {"engine": "openvino"}, {"labels": [{"id": "rust", "name": {"es": "Roya"}}]})


@pytest.fixture
def presence(redis_server: RedisServer) -> Presence:
    return Presence(redis_server.client())


def test_a_beat_is_heard_with_its_note(presence: Presence) -> None:
    presence.beat("leaf", "host/boot/1", NOTE)
    assert presence.warm("leaf") == [NOTE]
    assert presence.warm("xray") == []


def test_the_latest_note_of_a_worker_counts_and_each_worker_once(presence: Presence) -> None:
    presence.beat("leaf", "host/boot/1", Note(None, {}, {}))
    presence.beat("leaf", "host/boot/1", NOTE)
    presence.beat("leaf", "host/boot/2", NOTE)
    assert presence.warm("leaf") == [NOTE, NOTE]


def test_a_worker_that_left_is_not_warm(presence: Presence, redis_server: RedisServer) -> None:
    presence.beat("leaf", "host/boot/1", NOTE)
    presence.leave("leaf", "host/boot/1")
    presence.leave("leaf", "host/boot/1")
    assert presence.warm("leaf") == []
    assert redis_server.client().keys() == []


def test_a_worker_not_heard_of_lately_is_not_warm(presence: Presence, redis_server: RedisServer) -> None:
    presence.beat("leaf", "host/boot/1", NOTE)
    presence.beat("leaf", "host/boot/2", NOTE)
    redis_server.client().zadd("turno:{leaf}:beats", {"host/boot/1": time.time() - 60})
    assert len(presence.warm("leaf")) == 1


def test_who_was_silent_for_an_hour_is_forgotten(presence: Presence, redis_server: RedisServer) -> None:
    redis = redis_server.client()
    presence.beat("leaf", "host/boot/1", NOTE)
    redis.zadd("turno:{leaf}:beats", {"host/boot/1": time.time() - 3700})
    presence.beat("leaf", "host/boot/2", NOTE)
    assert redis.hkeys("turno:{leaf}:notes") == [b"host/boot/2"]


def test_a_beat_without_its_note_is_passed_over(presence: Presence, redis_server: RedisServer) -> None:
    presence.beat("leaf", "host/boot/1", NOTE)
    redis_server.client().delete("turno:{leaf}:notes")
    assert presence.warm("leaf") == []
