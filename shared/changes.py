"""News that jobs moved: a Redis channel that carries ids; who missed it reads SQL."""

from collections.abc import Iterable

from redis import Redis

CHANNEL = "turno:changes"


def announce(redis: Redis, ids: Iterable[str]) -> None:
    """Tells every API process that these jobs changed."""
    redis.publish(CHANNEL, " ".join(ids))


def heard(data: bytes) -> list[str]:
    """The ids in one announcement."""
    return data.decode().split()
