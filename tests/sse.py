"""Server-sent events as a client reads them."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass
class Event:
    """What stands between two empty lines."""

    name: str | None = None
    id: str | None = None
    data: str = ""
    retry: str | None = None
    comment: str | None = None

    @property
    def ticket(self) -> dict[str, Any]:
        """The ticket that it carries."""
        assert self.name == "ticket"
        ticket: dict[str, Any] = json.loads(self.data)
        assert self.id == str(ticket["version"])
        return ticket


def parsed(block: str) -> Event:
    """One event as it stands on the wire."""
    event = Event()
    for line in block.split("\n"):
        name, separator, value = line.partition(":")
        assert separator
        known = {"": "comment", "event": "name", "data": "data", "id": "id", "retry": "retry"}
        setattr(event, known[name], value.removeprefix(" "))
    return event


def events(answer: httpx.Response) -> Iterator[Event]:
    """Each event of an open stream, until the server ends it."""
    held = ""
    for text in answer.iter_text():
        held += text
        *blocks, held = held.split("\n\n")
        yield from map(parsed, blocks)
    assert held == ""


@contextlib.contextmanager
def listening(client: httpx.Client, job_id: str, **headers: str) -> Iterator[Iterator[Event]]:
    """The events of a job, as they come."""
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer)
