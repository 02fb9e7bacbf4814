"""How much each key may do: requests a minute and images a day, counted in Redis for all API processes together.

The counts are sliding windows (the `limits` library). While Redis does not answer, each process counts by itself:
nobody is refused, and nobody waits, because Redis is down.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import RedisError

from api.threads import in_thread
from shared.broker import connect_redis
from shared.errors import QuotaExceeded, StoreUnavailable
from shared.jobs import ApiKey
from shared.logs import get_logger
from shared.settings import Settings

log = get_logger(__name__)
T = TypeVar("T")
Counters = SlidingWindowCounterRateLimiter

RATE, IMAGES = "rate", "images"  # the policies' names in headers and problems
VIOLATED = "violated-policies"  # the member of the problem that names them
_PREFIX = "turno:allowance"
_QUIET_SECONDS = 5.0  # after a fault of Redis, it is not asked
_MOST_SECONDS = 3.0  # a Redis that hangs is given up after two: two tries to connect in each of two to ask


@dataclass(frozen=True, slots=True)
class Window:
    """Where a key stands with one of its limits."""

    policy: str
    limit: int
    seconds: int
    remaining: int
    reset_seconds: int  # more is left from then on


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a key stands with all of them; without limits it has none."""

    windows: tuple[Window, ...] = ()
    rate_exceeded: bool = False  # the request that was just counted is one too many

    def window(self, policy: str) -> Window | None:
        """The limit of this name, if the key has it."""
        return next((window for window in self.windows if window.policy == policy), None)

    def headers(self, status: int) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers, and with 429 when to come back."""
        if not self.windows:
            return {}
        violated = (
            self.window(RATE if self.rate_exceeded else IMAGES) if status == HTTPStatus.TOO_MANY_REQUESTS else None
        )
        return {
            **({"Retry-After": str(violated.reset_seconds)} if violated else {}),
            "RateLimit-Policy": ", ".join(f'"{one.policy}";q={one.limit};w={one.seconds}' for one in self.windows),
            "RateLimit": ", ".join(f'"{one.policy}";r={one.remaining};t={one.reset_seconds}' for one in self.windows),
        }


class Allowance:
    """The limits of all keys, as one API process counts them."""

    def __init__(self, settings: Settings) -> None:
        self._rate_per_minute = settings.rate_per_minute
        self._images_per_day = settings.images_per_day
        pool = connect_redis(settings.redis_url).connection_pool
        self._shared = Counters(RedisStorage("redis://", connection_pool=pool, key_prefix=_PREFIX))
        self._own = Counters(MemoryStorage())
        self._own_lock = threading.Lock()
        self._quiet_until = 0.0

    async def count(self, key: ApiKey) -> Standing:
        """Counts one request of this key, unless it is one too many."""
        limits = self._limits(key)

        def hit(counters: Counters) -> Standing:
            exceeded = RATE in limits and not counters.hit(limits[RATE], RATE, key.id)
            return _standing(counters, limits, key, rate_exceeded=exceeded)

        return await self._ask(hit) if limits else Standing()

    async def standing(self, key: ApiKey) -> Standing:
        """Where this key stands; counts nothing."""
        limits = self._limits(key)
        return await self._ask(lambda counters: _standing(counters, limits, key)) if limits else Standing()

    async def charge(self, key: ApiKey, images: int) -> None:
        """Takes so many images from the key's quota, or none.

        Raises:
            QuotaExceeded: so many are not left.
        """
        quota = self._limits(key).get(IMAGES)
        if quota is None or await self._ask(lambda counters: counters.hit(quota, IMAGES, key.id, cost=images)):
            return
        window = (await self.standing(key)).window(IMAGES)
        left = window.remaining if window else 0
        raise QuotaExceeded(
            f"This key may send {quota.amount:,} images in 24 hours and has {left:,} left, not {images:,}.",
            **{VIOLATED: [IMAGES]},
        )

    def _limits(self, key: ApiKey) -> dict[str, RateLimitItem]:
        rate = self._rate_per_minute if key.rate_per_minute is None else key.rate_per_minute
        images = self._images_per_day if key.images_per_day is None else key.images_per_day
        limits: dict[str, RateLimitItem] = {}
        if rate:
            limits[RATE] = RateLimitItemPerMinute(rate)
        if images:
            limits[IMAGES] = RateLimitItemPerDay(images)
        return limits

    async def _ask(self, question: Callable[[Counters], T]) -> T:
        try:
            return await in_thread(self._answer, question, most_seconds=_MOST_SECONDS)
        except StoreUnavailable:  # no thread is free, or Redis lets every single byte wait
            return self._answer_alone(question)

    def _answer(self, question: Callable[[Counters], T]) -> T:
        now = time.monotonic()
        if now < self._quiet_until:
            return self._answer_alone(question)
        if self._quiet_until:
            self._quiet_until = now + _QUIET_SECONDS  # one asks whether it is back, the others do not wait for it
        try:
            answer = question(self._shared)
        except RedisError as error:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            log.warning("limits of keys are counted in this process alone for now", error=str(error))
            return self._answer_alone(question)
        self._quiet_until = 0.0
        return answer

    def _answer_alone(self, question: Callable[[Counters], T]) -> T:
        with self._own_lock:
            return question(self._own)


def _standing(
    counters: Counters, limits: dict[str, RateLimitItem], key: ApiKey, *, rate_exceeded: bool = False
) -> Standing:
    return Standing(
        tuple(_window(counters, policy, limit, key) for policy, limit in limits.items()), rate_exceeded=rate_exceeded
    )


def _window(counters: Counters, policy: str, limit: RateLimitItem, key: ApiKey) -> Window:
    stats = counters.get_window_stats(limit, policy, key.id)
    seconds = limit.get_expiry()
    until_reset = stats.reset_time - time.time()
    # untouched, or begun within this very millisecond: `limits` gives nought for both
    reset = int(until_reset) + 1 if until_reset > 0 else seconds
    return Window(policy, limit.amount, seconds, stats.remaining, min(reset, seconds))
