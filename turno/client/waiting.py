"""Waiting for a job: the service holds its answer back, and is asked again where something on the way does not."""

import math
import time

from turno.client.answers import Job
from turno.client.errors import TimedOut
from turno.client.transport import Call, Transport, retry_after_seconds

_WAIT_SECONDS = 30  # proxies give up on an answer after 60


def wait_for_end(transport: Transport, path: str, timeout_seconds: float | None) -> Job:
    """The job at its end, whatever that is.

    Raises:
        TimedOut: it has not ended within `timeout_seconds`.
    """
    end = time.monotonic() + (math.inf if timeout_seconds is None else timeout_seconds)
    while True:
        begun = time.monotonic()
        asked_seconds = int(max(0, min(_WAIT_SECONDS, end - begun)))
        headers = {"Prefer": f"wait={asked_seconds}"} if asked_seconds else {}
        call = Call("GET", path, headers=headers, wait_seconds=asked_seconds)
        answer = transport.send(call, max(0, end - begun))
        found = transport.read(answer, Job.read)
        now = time.monotonic()
        if found.ended:
            return found
        if now >= end:
            raise TimedOut(found)
        if now - begun < asked_seconds / 2 or not asked_seconds:  # it did not wait: a proxy dropped `Prefer`
            time.sleep(min(retry_after_seconds(answer) or 1, end - now))
