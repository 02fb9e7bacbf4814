"""How webhooks are sent: due deliveries are taken from SQL, tried side by side, and what came of each is noted.

A delivery that is taken comes due again by itself: a courier that is killed between sending and noting sends it
twice, under the same id, and loses none.
"""

import asyncio
import threading
from asyncio import FIRST_COMPLETED
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import sqlalchemy as sa

from shared import endpointstore, jobqueries, outbox
from shared.database import Database
from shared.hooks import Attempt, Delivery, Endpoint, Event, erased_payload, pause_seconds, signed_headers
from shared.logs import get_logger
from worker.sending import Sender

T = TypeVar("T")
log = get_logger(__name__)

_SIDE_BY_SIDE = 300
_FOR_ONE_CALLER = 150  # somebody with many servers that hang leaves room for others
_FIRST, _MOST = 2, 10  # to one server: it gets more while it answers, and one at a time when it hangs
_REMEMBERED = 10_000  # servers
_HELD_SECONDS = 30  # twice what a receiver may take: whoever has not noted anything by then is dead, or as good as
_POLL_SECONDS = 0.25
_LAST_SECONDS = 3  # for what is on its way when the courier is told to stop; the rest is sent again later


class Deliveries:
    """What one courier has on its way."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        *,
        now: Callable[[], datetime] | None = None,
        count: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Takes its parts.

        Args:
            now: tells the time; by default the database does.
            count: hears what came of each attempt: delivered, retried or failed.
        """
        self._database = database
        self._sender = sender
        self._now = now or partial(database.read, jobqueries.now)
        self._count = count
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._destinations: Counter[str] = Counter()
        self._callers: Counter[str] = Counter()
        self._rooms: dict[str, int] = {}
        self._threads = ThreadPoolExecutor(12, "deliveries")  # asyncio's own has five on one core

    async def run(self, stop: threading.Event) -> None:
        """Sends until `stop` is set; a fault of SQL costs a round."""
        while not stop.is_set():
            begun = 0
            try:
                begun = await self.start_due()
            except Exception as error:  # whatever it was: a sender that ends here would leave everybody waiting
                log.warning("due webhooks could not be taken", error=str(error).partition("\n")[0])
            if not begun and self._under_way:
                await asyncio.wait(self._under_way.values(), timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            elif not begun:
                await asyncio.sleep(_POLL_SECONDS)
        await self.finish(_LAST_SECONDS)

    async def start_due(self) -> int:
        """Begins to send what is due, as far as there is room; returns how many."""
        under_way, rooms = set(self._under_way), dict(self._rooms)
        crowds = self._destinations.copy(), self._callers.copy()
        taken = await self._in_thread(lambda: self._take(under_way, *crowds, rooms))
        for delivery in taken:
            self._destinations[delivery.destination] += 1
            self._callers[delivery.caller] += 1
            task = asyncio.create_task(self._deliver(delivery))
            self._under_way[delivery.id] = task
            task.add_done_callback(partial(self._leave, delivery))
        return len(taken)

    async def finish(self, seconds: float | None = None) -> None:
        """Waits until nothing is on its way any more, for so long at most."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=seconds)

    def _take(
        self, under_way: set[str], destinations: Counter[str], callers: Counter[str], rooms: dict[str, int]
    ) -> list[Delivery]:
        """Due deliveries, the longest due first, so that neither a server nor a caller takes all the room."""
        now, room = self._now(), _SIDE_BY_SIDE - len(under_way)
        chosen: set[str] = set()
        while room > 0:
            full = [name for name, number in destinations.items() if number >= rooms.get(name, _FIRST)]
            crowding = [name for name, number in callers.items() if number >= _FOR_ONE_CALLER]
            page = self._database.read(partial(outbox.due, now=now, without=(full, crowding), size=_SIDE_BY_SIDE))
            before = len(chosen)
            for id_, caller, destination in page:
                fits = destinations[destination] < rooms.get(destination, _FIRST) and callers[caller] < _FOR_ONE_CALLER
                if room and fits and id_ not in chosen and id_ not in under_way:
                    chosen.add(id_)
                    destinations[destination] += 1
                    callers[caller] += 1
                    room -= 1
            if len(chosen) == before or len(page) < _SIDE_BY_SIDE:
                break
        if not chosen:
            return []
        until = now + timedelta(seconds=_HELD_SECONDS)
        return self._database.write(partial(outbox.take, ids=sorted(chosen), now=now, until=until))

    def _leave(self, delivery: Delivery, task: asyncio.Task[None]) -> None:
        del self._under_way[delivery.id]
        self._destinations -= Counter([delivery.destination])  # in this form, names with nothing left go
        self._callers -= Counter([delivery.caller])
        if not task.cancelled() and (fault := task.exception()):  # it comes due again by itself
            log.warning("a webhook's attempt could not be noted", delivery=delivery.id, exc_info=fault)

    def _learn(self, destination: str, attempt: Attempt) -> None:
        """Gives a server room for more at once while it answers, and for one when it does not."""
        if len(self._rooms) > _REMEMBERED:
            self._rooms.clear()
        self._rooms[destination] = 1 if attempt.status is None else min(_MOST, self._rooms.get(destination, _FIRST) + 1)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _deliver(self, delivery: Delivery) -> None:
        endpoint, now = await self._in_thread(lambda: (self._endpoint(delivery), self._now()))
        if endpoint is None:
            return
        body = delivery.payload or erased_payload(delivery)
        headers = signed_headers(delivery.message_id, body, now, endpoint.secrets(now))
        attempt = replace(await self._sender.send(delivery.url, headers, body, delivery.caller), at=now)
        self._learn(delivery.destination, attempt)
        await self._in_thread(lambda: self._note(delivery, attempt))

    def _endpoint(self, delivery: Delivery) -> Endpoint | None:
        """What signs it; None when it is not to be sent any more, which is noted."""
        signer = partial(endpointstore.signer, endpoint_id=delivery.endpoint_id, caller=delivery.caller)
        found = self._database.read(signer)
        if found is not None and found.disabled_at is None:
            return found
        if delivery.endpoint_id is None:
            return self._database.write(partial(endpointstore.default_of, caller=delivery.caller), durable=True)
        because = (found and found.disabled_because) or endpointstore.REMOVED
        self._database.write(partial(outbox.give_up, delivery_id=delivery.id, because=because))
        return None

    def _note(self, delivery: Delivery, attempt: Attempt) -> None:
        final = attempt.succeeded or attempt.status == HTTPStatus.GONE or delivery.event is Event.PING
        pause = None if final else pause_seconds(delivery.tries + 1, attempt.retry_after_seconds)
        again_at = None if pause is None else self._now() + timedelta(seconds=pause)

        def write(connection: sa.Connection) -> bool:
            if attempt.status == HTTPStatus.GONE and delivery.endpoint_id:
                endpointstore.disable(connection, delivery.endpoint_id, endpointstore.GONE)
            return outbox.record(connection, delivery, attempt, again_at)

        noted = self._database.write(write)
        outcome = "delivered" if attempt.succeeded else "retried" if again_at or not noted else "failed"
        say = log.warning if outcome == "failed" else log.info  # no address: it may hold a token
        say("webhook " + outcome, delivery=delivery.id, about=delivery.job_id or delivery.batch_id, error=attempt.error)
        self._count(outcome)


def deliver_for_ever(database: Database, sender: Sender, count: Callable[[str], None], stop: threading.Event) -> None:
    """Sends webhooks in an event loop of its own, until `stop` is set."""
    asyncio.run(Deliveries(database, sender, count=count).run(stop))
