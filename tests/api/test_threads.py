"""Threads for synchronous work: nobody waits for ever, and images take none from SQL."""

import asyncio
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


def test_work_on_an_image_is_over_before_whoever_wanted_it_goes_on() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(20)
        ended.set()

    async def cancel() -> None:
        upload = asyncio.create_task(in_image_thread(work))
        await in_thread(begun.wait, 20)
        upload.cancel()
        await asyncio.wait([upload], timeout=0.1)
        assert not upload.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await upload
        assert ended.is_set()

    asyncio.run(cancel())


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
