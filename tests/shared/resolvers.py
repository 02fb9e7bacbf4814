"""Resolvers that answer what a test wants, in place of the machine's."""

import socket
from collections.abc import Iterable, Iterator
from typing import Any

import pytest


class Resolver:
    """Stands in for `socket.getaddrinfo`; each look-up gets the next answer, and the last one for ever."""

    def __init__(self, *answers: Iterable[str] | Exception) -> None:
        self.asked: list[str] = []
        self._answers: Iterator[Iterable[str] | Exception] = iter(answers)
        self._answer: Iterable[str] | Exception = ()

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        self._answer = next(self._answers, self._answer)
        if isinstance(self._answer, Exception):
            raise self._answer
        return [_answer(text, port) for text in self._answer]

    def installed(self, monkeypatch: pytest.MonkeyPatch) -> "Resolver":
        """This one, asked from now on until the test ends."""
        monkeypatch.setattr(socket, "getaddrinfo", self)
        return self


def _answer(text: str, port: int) -> tuple[Any, ...]:
    """As getaddrinfo has it; `address%7` is one in zone 7."""
    address, _, zone = text.partition("%")
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, int(zone or 0)))
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
