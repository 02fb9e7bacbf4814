"""How webhooks are sent: due deliveries are taken from SQL, tried side by side, and what came of each is noted.

A delivery that is taken comes due again by itself: a courier that is killed between sending and noting sends it
twice, under the same id, and loses none.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus

import sqlalchemy as sa

from shared import endpointstore, jobqueries, outbox
from shared.database import Database
from shared.hooks import Attempt, Delivery, Endpoint, Event, erased_payload, pause_seconds, signed_headers
from shared.logs import get_logger
from shared.tables import deliveries
from worker.sending import Sender

log = get_logger(__name__)

_SIDE_BY_SIDE = 100
_TO_ONE_DESTINATION = 10  # a server that hangs keeps no more than these
_FOR_ONE_CALLER = 50  # nor does somebody with many of them
_HELD_SECONDS = 30  # twice what an attempt may take: by then its courier is dead
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
        self._under_way: set[asyncio.Task[None]] = set()
        self._destinations: Counter[str] = Counter()
        self._callers: Counter[str] = Counter()

    async def run(self, stop: threading.Event) -> None:
        """Sends until `stop` is set; a fault of SQL costs a round."""
        while not stop.is_set():
            begun = 0
            try:
                begun = await self.start_due()
            except Exception as error:  # whatever it was: a sender that ends here would leave everybody waiting
                log.warning("due webhooks could not be taken", error=str(error).partition("\n")[0])
            if not begun:
                await asyncio.sleep(_POLL_SECONDS)
        await self.finish(_LAST_SECONDS)
        await self._sender.close()

    async def start_due(self) -> int:
        """Begins to send what is due, as far as there is room; returns how many."""
        taken = await asyncio.to_thread(self._take)
        for delivery in taken:
            task = asyncio.create_task(self._deliver(delivery))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return len(taken)

    async def finish(self, seconds: float | None = None) -> None:
        """Waits until nothing is on its way any more, for so long at most."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    def _take(self) -> list[Delivery]:
        now, chosen = self._now(), self._choose()
        if not chosen:
            return []
        until = now + timedelta(seconds=_HELD_SECONDS)
        return self._database.write(partial(outbox.take, ids=chosen, now=now, until=until))

    def _choose(self) -> list[str]:
        """Ids of due deliveries, the longest due first, so that neither a server nor a caller takes all the room."""
        now, room = self._now(), _SIDE_BY_SIDE - len(self._under_way)
        destinations, callers = self._destinations.copy(), self._callers.copy()
        chosen: dict[str, None] = {}
        while room > 0:
            full = [name for name, number in destinations.items() if number >= _TO_ONE_DESTINATION]
            crowding = [name for name, number in callers.items() if number >= _FOR_ONE_CALLER]
            page = self._database.read(partial(outbox.due, now=now, without=(full, crowding), size=_SIDE_BY_SIDE))
            before = len(chosen)
            for id_, caller, destination in page:
                fits = destinations[destination] < _TO_ONE_DESTINATION and callers[caller] < _FOR_ONE_CALLER
                if room and fits and id_ not in chosen:
                    chosen[id_] = None
                    destinations[destination] += 1
                    callers[caller] += 1
                    room -= 1
            if len(chosen) == before or len(page) < _SIDE_BY_SIDE:
                break
        return list(chosen)

    async def _deliver(self, delivery: Delivery) -> None:
        where = outbox.destination(delivery.caller, delivery.url)
        self._destinations[where] += 1
        self._callers[delivery.caller] += 1
        try:
            await self._attempt(delivery)
        except Exception as error:  # it comes due again by itself
            log.warning("a webhook's attempt could not be noted", delivery=delivery.id, exc_info=error)
        finally:
            self._destinations -= Counter([where])  # in this form, names with nothing left go
            self._callers -= Counter([delivery.caller])

    async def _attempt(self, delivery: Delivery) -> None:
        endpoint = await asyncio.to_thread(self._endpoint, delivery)
        if endpoint is None:
            return
        now, body = await asyncio.to_thread(self._now), delivery.payload or erased_payload(delivery)
        headers = signed_headers(delivery.message_id, body, now, endpoint.secrets(now))
        attempt = replace(await self._sender.send(delivery.url, headers, body), at=now)
        await asyncio.to_thread(self._note, delivery, attempt)

    def _endpoint(self, delivery: Delivery) -> Endpoint | None:
        """What signs it; None when it is not to be sent any more, which is noted."""
        signer = partial(endpointstore.signer, endpoint_id=delivery.endpoint_id, caller=delivery.caller)
        found = self._database.read(signer)
        if found is not None and found.disabled_at is None:
            return found
        if delivery.endpoint_id is None:
            return self._database.write(partial(endpointstore.default_of, caller=delivery.caller), durable=True)
        because = (found and found.disabled_because) or endpointstore.REMOVED
        self._database.write(partial(outbox.give_up, which=deliveries.c.id == delivery.id, because=because))
        return None

    def _note(self, delivery: Delivery, attempt: Attempt) -> None:
        final = attempt.succeeded or attempt.status == HTTPStatus.GONE or delivery.event is Event.PING
        pause = None if final else pause_seconds(delivery.tries + 1, attempt.retry_after_seconds)
        again_at = None if pause is None else self._now() + timedelta(seconds=pause)

        def write(connection: sa.Connection) -> None:
            noted = outbox.record(connection, delivery, attempt, again_at)
            if noted and attempt.status == HTTPStatus.GONE and delivery.endpoint_id:
                endpointstore.disable(connection, delivery.endpoint_id, endpointstore.GONE)

        self._database.write(write)
        outcome = "delivered" if attempt.succeeded else "retried" if again_at else "failed"
        say = log.warning if outcome == "failed" else log.info  # no address: it may hold a token
        say("webhook " + outcome, delivery=delivery.id, about=delivery.job_id or delivery.batch_id, error=attempt.error)
        self._count(outcome)


def deliver_for_ever(database: Database, sender: Sender, count: Callable[[str], None], stop: threading.Event) -> None:
    """Sends webhooks in an event loop of its own, until `stop` is set."""
    asyncio.run(Deliveries(database, sender, count=count).run(stop))
