"""A courier's deliveries, played by hand: a clock that a test sets, jobs that end, and what became of each."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from ipaddress import ip_network
from typing import Any

from standardwebhooks import Webhook

from shared import endpointstore, jobqueries, outbox
from shared.database import Database
from shared.hooks import ENDS, Delivery, Endpoint, Event, new_secret
from shared.outbox import DeliveryFilter, Message
from tests.receiver import Received
from tests.shared.make import add, claim, succeed
from worker.delivery import Deliveries
from worker.sending import Sender

LOOPBACK = [ip_network("127.0.0.0/8")]
CALLER = "key-a"


class Courier:
    """A courier whose clock a test sets."""

    def __init__(self, database: Database, most_seconds: float = 5) -> None:
        self.database = database
        self.now = database.read(jobqueries.now)
        self.counted: list[str] = []
        self._sender = Sender(LOOPBACK, None, most_seconds=most_seconds)
        self.deliveries = Deliveries(database, self._sender, now=lambda: self.now, count=self.counted.append)

    def deliver(self) -> int:
        """Sends what is due, and waits until all of it was answered; how many."""
        self.now = max(self.now, self.database.read(jobqueries.now))
        return asyncio.run(self._deliver())

    async def _deliver(self) -> int:
        begun = 0
        while more := await self.deliveries.start_due():
            begun += more
            await self.deliveries.finish()
        return begun

    @contextmanager
    def running(self) -> Iterator[None]:
        """Meanwhile it sends what comes due, by the database's clock; what is on its way at the end is dropped."""
        stop = threading.Event()

        async def run() -> None:
            while not stop.is_set():
                self.now = await asyncio.to_thread(self.database.read, jobqueries.now)
                await self.deliveries.start_due()
                await asyncio.sleep(0.02)

        with ThreadPoolExecutor(1) as pool:
            loop = pool.submit(lambda: asyncio.run(run()))
            try:
                yield
            finally:
                stop.set()
                loop.result(30)

    def rounds(self, number: int) -> list[int]:
        """How many were on their way at once, round by round; each is answered before the next."""

        async def run() -> list[int]:
            begun = []
            for _ in range(number):
                begun.append(await self.deliveries.start_due())
                await self.deliveries.finish()
            return begun

        return asyncio.run(run())

    def deliver_at(self, moment: datetime | None) -> int:
        """The same, later."""
        assert moment is not None
        self.now = moment
        return asyncio.run(self._deliver())


def end_a_job(database: Database, job_id: str = "a", url: str | None = None) -> None:
    """A job succeeds, and `url` is to hear of it."""
    events = ",".join(ENDS) if url else None
    add(database, job_id, caller=CALLER, webhook_url=url, webhook_events=events)
    succeed(database, *claim(database, job_id))


def register(database: Database, url: str, caller: str = CALLER) -> Endpoint:
    """A webhook for every end."""
    return database.write(lambda connection: endpointstore.add(connection, caller, url, ENDS, new_secret()))


def post(database: Database, urls: Sequence[str], endpoint: Endpoint | None = None, caller: str = CALLER) -> list[str]:
    """A delivery to each of these, due at once, in the name of no job; their ids."""
    of = endpoint.id if endpoint else None
    messages = [Message(f"m-{at}", Event.JOB_FAILED, caller, of, url, "{}") for at, url in enumerate(urls)]
    return database.write(lambda connection: outbox.add(connection, messages))


def log_of(database: Database, **which: Any) -> list[Delivery]:
    """The deliveries, oldest first."""
    return database.read(lambda connection: outbox.page(connection, DeliveryFilter(**which), None, 10_000))[::-1]


def only(database: Database) -> Delivery:
    (delivery,) = log_of(database)
    return delivery


def secret_of(database: Database, endpoint: Endpoint | None = None) -> str:
    if endpoint is None:
        return database.write(lambda connection: endpointstore.default_of(connection, CALLER)).secret
    found = database.read(lambda connection: endpointstore.get(connection, endpoint.id))
    assert found is not None
    return found.secret


def verified(request: Received, secret: str) -> dict[str, Any]:
    """What a receiver with the official library makes of it."""
    return dict(Webhook(secret).verify(request.body, request.headers))
