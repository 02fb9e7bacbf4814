"""Synchronous work for the event loop, in threads: SQL and Redis within a caller's patience, images at their pace."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from anyio import fail_after
from anyio.to_thread import run_sync

from shared.errors import StoreUnavailable

T = TypeVar("T")
MOST_SECONDS = 20.0  # above what a database that works takes for anything we ask of it
# of their own: slow disks and buckets must not take the threads in which everybody else asks SQL
IMAGE_THREADS = 40
_FOR_IMAGES = ThreadPoolExecutor(IMAGE_THREADS, "images")


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


async def in_image_thread(work: Callable[..., T], *arguments: object) -> T:
    """What `work` returns, however long it takes: the image store has limits of its own.

    Whoever is canceled meanwhile goes on when it is over: what they clean up is not in use any more.
    """
    # a hop costs 33 us of CPU here and 84 with anyio's, sixteen at once; median, on a busy core
    done = asyncio.get_running_loop().run_in_executor(_FOR_IMAGES, work, *arguments)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait([done])
        raise
