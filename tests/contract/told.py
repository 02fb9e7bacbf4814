"""Who was told what: registered webhooks, and the deliveries that are there, for the tests of every database."""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from shared import endpointstore, outbox
from shared.database import Database
from shared.hooks import ENDS, Delivery, DeliveryState, Endpoint, Event, new_secret
from shared.outbox import DeliveryFilter, Message
from shared.tables import deliveries

URL = "https://own.example/in"  # what a job says of itself
EVERYTHING = (Event.JOB_STARTED, *ENDS, Event.BATCH_COMPLETED)
Told = tuple[str, str, str]  # a message's id, its event, and the address


def hook(*events: Event, url: str = URL) -> dict[str, str]:
    """What a new job says of whom to tell of what."""
    return {"webhook_url": url, "webhook_events": ",".join(events or EVERYTHING)}


def register(
    database: Database,
    url: str = "https://registered.example/in",
    events: Sequence[Event] = EVERYTHING,
    caller: str = "key-a",
) -> Endpoint:
    """A webhook of this caller."""
    return database.write(lambda connection: endpointstore.add(connection, caller, url, events, new_secret()))


def log(database: Database, **conditions: Any) -> list[Delivery]:
    """The deliveries that are there, oldest first."""
    return database.read(lambda connection: outbox.page(connection, DeliveryFilter(**conditions), None, 10_000))[::-1]


def told(database: Database) -> list[Told]:
    """The same, each as what was told to whom."""
    return sorted((one.message_id, str(one.event), one.url) for one in log(database))


def bodies(database: Database) -> list[dict[str, Any]]:
    """The messages, oldest first, as their receivers read them."""
    return [json.loads(one.payload or "{}") for one in log(database)]


def message(number: int = 0, **changes: Any) -> Message:
    """What some address is to be told."""
    entries: dict[str, Any] = {
        "message_id": f"m{number}-3",
        "event": Event.JOB_SUCCEEDED,
        "caller": "key-a",
        "endpoint_id": None,
        "url": URL,
        "payload": "{}",
        "job_id": f"m{number}",
    }
    return Message(**{**entries, **changes})


def post(database: Database, *messages: Message) -> list[str]:
    """Writes deliveries that are due at once; their ids."""
    return database.write(lambda connection: outbox.add(connection, messages))


def delivery(database: Database, delivery_id: str) -> Delivery:
    """The delivery with this id."""
    return database.read(lambda connection: outbox.require(connection, delivery_id))


def change(database: Database, delivery_id: str, **values: Any) -> None:
    """Makes a row what it would else take long to become."""
    changed = sa.update(deliveries).where(deliveries.c.id == delivery_id).values(**values)
    database.write(lambda connection: connection.execute(changed))


def states(database: Database) -> list[DeliveryState]:
    """Where the deliveries stand, oldest first."""
    return [one.state for one in log(database)]
