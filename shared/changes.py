"""News that jobs moved: Redis channels that carry ids; who missed it reads SQL."""

from collections.abc import Iterable

from redis import Redis

CHANNEL = "turno:changes"
STARTS = "turno:starts"  # apart: most who wait do so for the end, and need not look when a worker begins


def announce(redis: Redis, ids: Iterable[str], *, started: bool = False) -> None:
    """Tells every API process that these jobs changed, or that a worker has them in hand now."""
    redis.publish(STARTS if started else CHANNEL, " ".join(ids))


def heard(data: bytes) -> list[str]:
    """The ids in one announcement."""
    return data.decode().split()
