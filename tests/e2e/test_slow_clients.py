"""What bad connections bring: uploads and readers that crawl, and the same submission again and again."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import sqlalchemy as sa

from api.threads import IMAGE_THREADS
from shared import jobqueries
from shared.images import open_images
from shared.tables import jobs
from tests.conftest import ON_EVERY_DATABASE, StackFactory
from tests.crowd import allow_open_files
from tests.e2e.load import Load
from tests.photos import HELD_PX, jpeg
from tests.stack import Stack
from tests.waiting import wait_for
from worker.retention import Retention

HELD, PLAIN = jpeg(*HELD_PX), jpeg()
_UPLOADS, _READERS = 200, 100
_PACE_SECONDS = 0.05  # of callers whom nobody answers; faster, and fifty would leave the API no time to start
_BEGUN_BYTES = 300_000  # so much of an upload lies in a temporary file already
_HEAD = (
    "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=leaf\r\n"
    "Content-Length: 9000000\r\n\r\n"
    '--leaf\r\nContent-Disposition: form-data; name="file"; filename="leaf.jpg"\r\n\r\n'
)


async def connect(port: int) -> socket.socket:
    """A connection of which the system, too, holds as little as it can."""
    client = socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    return client


async def crawl(port: int, number: int) -> bytes:
    """Sends a byte a second for as long as the server takes them; what it answered before it hung up."""
    loop, answer = asyncio.get_running_loop(), b""
    client = await connect(port)

    async def drip() -> None:
        while True:
            await asyncio.sleep(1)
            await loop.sock_sendall(client, b"x")

    await loop.sock_sendall(client, _HEAD.encode() + bytes(_BEGUN_BYTES * (number % 2)))
    dripping = asyncio.create_task(drip())
    with contextlib.suppress(ConnectionError):  # it hung up between two bytes
        while piece := await loop.sock_recv(client, 1000):
            answer += piece
    dripping.cancel()
    await asyncio.wait([dripping])
    client.close()
    return answer


async def sip(port: int, job_id: str, over: asyncio.Event) -> bytes:
    """Reads a job's events a byte at a time, slowly until it is over; all of them."""
    loop, heard = asyncio.get_running_loop(), b""
    client = await connect(port)
    try:
        await loop.sock_sendall(client, f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while not heard.endswith(b"\r\n0\r\n\r\n"):
            piece = await loop.sock_recv(client, 1)
            assert piece, heard
            heard += piece
            if not over.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), 0.2)
        return heard
    finally:
        client.close()


@contextlib.asynccontextmanager
async def under_load(stack: Stack) -> AsyncIterator[Load]:
    load = Load(stack)
    await asyncio.to_thread(load.__enter__)
    try:
        yield load
    finally:
        await asyncio.to_thread(load.__exit__)


def incoming(stack: Stack) -> list[Path]:
    return list((stack.settings.images_dir / "incoming").iterdir())


def warm_up(stack: Stack) -> None:
    """Lets the API have every thread and connection to its database that it may have."""
    with httpx.Client(base_url=stack.url, timeout=60, limits=httpx.Limits(max_connections=80)) as many:
        with ThreadPoolExecutor(80) as pool:
            answers = pool.map(lambda _: many.post("/v1/jobs", files={"file": ("leaf.jpg", PLAIN)}), range(240))
        assert {answer.status_code for answer in answers} == {202}


def test_slow_uploads_and_slow_readers_keep_nobody_waiting_and_leave_nothing(make_stack: StackFactory) -> None:
    allow_open_files(4096)
    stack = make_stack(TEST_WORKER="tests.e2e.held_worker", UPLOAD_MIN_BYTES_PER_SECOND="1000000").start()
    api = psutil.Process(stack._processes["api"].pid)
    held = stack.submit(HELD)["id"]
    stack.wait_held()
    warm_up(stack)
    threads, files, port = api.num_threads(), api.num_fds(), stack.settings.port

    async def scenario() -> tuple[list[bytes], list[bytes], Load]:
        over = asyncio.Event()
        readers = [asyncio.create_task(sip(port, held, over)) for _ in range(_READERS)]
        uploads = [asyncio.create_task(crawl(port, number)) for number in range(_UPLOADS)]
        async with under_load(stack) as load:
            await asyncio.to_thread(wait_for, lambda: len(incoming(stack)) >= _UPLOADS // 2, "half-sent images")
            refused = await asyncio.gather(*uploads)
            (stack.folder / "release").touch()
            over.set()
            heard = await asyncio.gather(*readers)
        return refused, heard, load

    refused, heard, load = asyncio.run(scenario())
    for answer in refused:
        assert answer.startswith(b"HTTP/1.1 408 "), answer
        assert b'"upload-too-slow"' in answer
    for stream in heard:
        assert stream.count(b"event: ticket") == 2
        assert b'"status":"succeeded"' in stream
    assert load.refusals == []
    assert len(load.accepted) > 15
    assert {stack.ended(id_)["status"] for id_ in load.accepted} == {"succeeded"}
    assert incoming(stack) == []
    assert api.num_threads() <= threads + IMAGE_THREADS  # their pool keeps them
    wait_for(lambda: api.num_fds() <= files + 10, f"{files} open files again, and those of the callers just now")


@ON_EVERY_DATABASE
def test_a_submission_that_is_repeated_while_the_api_is_killed_is_one_job(make_stack: StackFactory) -> None:
    stack = make_stack().start()
    asked = {"PUT": ("/v1/jobs/tree-7", {}), "POST": ("/v1/jobs", {"Idempotency-Key": "tree 7"})}
    answered: list[tuple[str, httpx.Response]] = []

    def repeat(method: str) -> None:
        path, headers = asked[method]
        for _ in range(2):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    files = {"file": ("leaf.jpg", PLAIN)}
                    answered.append((method, stack.client.request(method, path, files=files, headers=headers)))
                    break
                time.sleep(_PACE_SECONDS)

    with ThreadPoolExecutor(50) as pool:
        callers = [pool.submit(repeat, method) for method in [*asked] * 25]
        wait_for(lambda: len(answered) >= 30, "the first answers")
        stack.kill("api")
        stack.start("api")
        for caller in callers:
            caller.result()
    assert {answer.status_code for _, answer in answered} <= {200, 202}
    for method, (path, headers) in asked.items():
        (job_id,) = {answer.json()["id"] for one, answer in answered if one == method}
        ended = stack.ended(job_id)
        assert (ended["status"], ended["run"], ended["attempt"], ended["version"]) == ("succeeded", 1, 1, 3)
        other = stack.client.request(method, path, files={"file": ("leaf.jpg", HELD)}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency-mismatch")
    before = images(stack)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(repeat, [*asked] * 3))
    assert images(stack) == before  # a repetition's image goes at once; those of the killed API are swept
    assert_every_image_has_its_job(stack)


def images(stack: Stack) -> list[Path]:
    return sorted(path for path in stack.settings.images_dir.rglob("*") if path.is_file())


def assert_every_image_has_its_job(stack: Stack) -> None:
    """What killed uploads left behind is swept, and no more than that."""
    database = stack.database()
    for path in images(stack):
        os.utime(path, (0, 0))
    retention = Retention(stack.settings, database, open_images(stack.settings))
    for _ in range(256):
        retention.sweep(database.read(jobqueries.now))
    known = sa.select(jobs.c.id).where(jobs.c.erased_at.is_(None))
    assert {path.name for path in images(stack)} == database.read(lambda connection: set(connection.scalars(known)))
    database.close()
