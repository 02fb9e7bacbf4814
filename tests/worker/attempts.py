"""Attempts to deliver to receivers on loopback, by real names of a resolver that a test sets up."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.hooks import Attempt
from shared.netguard import parse_networks
from worker.sending import Sender

LOOPBACK = "127.0.0.0/8, ::1/128"
HEADERS = {"webhook-id": "0123-4", "webhook-timestamp": "1795348800", "webhook-signature": "v1,c2lnbmF0dXJl"}
BODY = '{"type":"job.succeeded","data":{"verdict":"mehltau – größer"}}'
HANG_SECONDS = 10  # far above what any of these attempts is given

Lookup = Callable[[], list[str]]


class Resolver:
    """Stands in for the machine's: knows some names, and which were asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", self.getaddrinfo)
        self.names: dict[str, list[str] | Lookup] = {}
        self.asked: list[str] = []

    def getaddrinfo(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(host)
        found = self.names.get(host)
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        addresses = found() if callable(found) else found
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
            for family, address in zip(families, addresses, strict=True)
        ]


def sender(most_seconds: float = 5, ca_file: Path | None = None, networks: str = LOOPBACK) -> Sender:
    """A sender that may reach receivers on loopback."""
    return Sender(parse_networks(networks), ca_file, most_seconds)


def attempt(url: str, body: str = BODY, **options: Any) -> Attempt:
    """One attempt by a sender of its own, and what every attempt must keep."""

    async def run() -> Attempt:
        return await sender(**options).send(url, HEADERS, body, "a")

    made = asyncio.run(run())
    assert made.latency_ms < HANG_SECONDS * 1000
    assert "secret" not in (made.error or "")
    assert not made.error or "127.0.0." not in made.error or "127.0.0." in url
    assert len(made.excerpt or "") <= 500
    return made


def failure(url: str, **options: Any) -> str:
    """Why an attempt of which nothing was answered failed."""
    made = attempt(url, **options)
    assert made.error
    assert made.status is None
    return made.error
