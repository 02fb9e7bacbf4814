"""Callers that submit and look again and again, whatever they are answered, and remember it."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import httpx

from tests.photos import jpeg
from tests.stack import Stack
from tests.waiting import wait_for

_CALLERS = 3
_PACE_SECONDS = 0.05  # faster, and the worker would be busy with what has piled up for long after the test is over


class Load:
    """Under load while its block runs."""

    def __init__(self, stack: Stack) -> None:
        self.accepted: list[str] = []
        self.refusals: list[httpx.Response] = []
        self.slowest_seconds = 0.0
        self._stack = stack
        self._image = jpeg()
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(_CALLERS)
        self._callers: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._callers = [self._pool.submit(self._call) for _ in range(_CALLERS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        for caller in self._callers:
            caller.result()

    def wait_for_accepted(self, more: int = 15) -> None:
        """Returns once so many more jobs were accepted."""
        enough = len(self.accepted) + more
        wait_for(lambda: len(self.accepted) >= enough, f"{more} more accepted jobs", 60)

    def wait_for_refusals(self, more: int = 15) -> None:
        """Returns once so many more requests were refused."""
        enough = len(self.refusals) + more
        wait_for(lambda: len(self.refusals) >= enough, f"{more} more refusals", 60)

    def _call(self) -> None:
        while not self._over.wait(_PACE_SECONDS):
            answer = self._timed("POST", "/v1/jobs", files={"file": ("photo.jpg", self._image)})
            if answer.status_code == 202:
                self.accepted.append(answer.json()["id"])
            elif answer.status_code != 200:
                self.refusals.append(answer)
            if self.accepted:
                look = self._timed("GET", f"/v1/jobs/{self.accepted[-1]}")
                if look.status_code != 200:
                    self.refusals.append(look)

    def _timed(self, method: str, path: str, **request: object) -> httpx.Response:
        began = time.monotonic()
        answer = self._stack.client.request(method, path, **request)  # type: ignore[arg-type]
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
        return answer
