"""Threads for synchronous work: nobody waits for ever, and images take none from SQL."""

import threading
import time

import anyio
import pytest

from api.threads import in_image_thread, in_thread
from shared.errors import StoreUnavailable


def test_what_takes_too_long_is_unavailable() -> None:
    over = threading.Event()

    async def ask() -> None:
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await in_thread(over.wait, 30, most_seconds=0.2)
        assert time.monotonic() - started < 20
        assert await in_thread(lambda: "the next") == "the next"

    anyio.run(ask)
    over.set()


def test_uploads_to_a_slow_store_leave_threads_for_everything_else() -> None:
    over = threading.Event()

    async def crowd() -> None:
        async with anyio.create_task_group() as uploads:
            for _ in range(200):
                uploads.start_soon(in_image_thread, over.wait, 60)
            await anyio.wait_all_tasks_blocked()
            try:
                assert await in_thread(lambda: "at once", most_seconds=10) == "at once"
            finally:
                over.set()

    anyio.run(crowd)
