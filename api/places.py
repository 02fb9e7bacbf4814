"""Where jobs stand in the line, and when their turn will have been."""

from collections.abc import Sequence
from contextlib import suppress

from redis import RedisError

from api.services import ServiceSet
from api.threads import in_thread
from shared.errors import StoreUnavailable

Place = tuple[int | None, float | None]  # how many stand before it, and the estimated seconds until its end
NOWHERE: Place = (None, None)


async def places(services: ServiceSet, model: str, ids: Sequence[str]) -> dict[str, Place]:
    """The places of those of these jobs that stand in the line; none while it does not answer."""

    def ask() -> dict[str, Place]:
        rate = services.presence.jobs_per_second(model)
        # Little's law: those before it and itself, at the rate of all warm workers
        return {
            id_: (position, None if rate is None else round((position + 1) / rate, 2))
            for id_, position in services.line.positions(model, ids).items()
        }

    with suppress(RedisError, StoreUnavailable):
        return await in_thread(ask)
    return {}
