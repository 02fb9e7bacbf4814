"""Synchronous SQL and Redis for the event loop: in a thread, and never for longer than a caller would wait."""

from collections.abc import Callable
from typing import TypeVar

from anyio import fail_after
from anyio.to_thread import run_sync

from shared.errors import StoreUnavailable

T = TypeVar("T")
MOST_SECONDS = 20.0  # above what a database that works takes for anything we ask of it


async def in_thread(work: Callable[..., T], *arguments: object, most_seconds: float = MOST_SECONDS) -> T:
    """What `work` returns; it goes on by itself when it is late, and nobody hears of its end.

    A server that is frozen, not gone, is told from a slow one by nothing but the clock: the kernel still
    acknowledges what it is sent, so that no limit of TCP or of the server itself is reached.

    Raises:
        StoreUnavailable: it took too long.
    """
    try:
        with fail_after(most_seconds):
            return await run_sync(work, *arguments, abandon_on_cancel=True)
    except TimeoutError as error:
        raise StoreUnavailable from error
