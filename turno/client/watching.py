"""A job's changes as server-sent events, taken up again where the connection broke off."""

import json
import time
from collections.abc import Iterator

import httpx
from httpx_sse import EventSource, SSEError

from turno.client.answers import Job
from turno.client.errors import NotTurno, Unreachable
from turno.client.transport import Call, Fault, Transport

_SILENCE_SECONDS = 45  # the service sends a sign of life every 15 s
_PAUSE_SECONDS = 0.5
_PAUSE_MAX_SECONDS = 10.0


class Watch:
    """One job's stream of changes."""

    def __init__(self, transport: Transport, path: str) -> None:
        self._transport = transport
        self._path = path
        self._seen = ""  # the id of the last event
        self._pause_seconds = _PAUSE_SECONDS
        self._failing_since: float | None = None

    def jobs(self) -> Iterator[Job]:
        """The job as it stands, then at each change; its end is the last."""
        while True:
            try:
                for job in self._connection():
                    self._failing_since, self._pause_seconds = None, _PAUSE_SECONDS
                    yield job
                    if job.ended:
                        return
                if self._failing_since is not None:
                    raise Fault(Unreachable(f"{self._transport.shown_url} ends streams of events at once."), again=True)
            except Fault as fault:
                self._bear(fault)
            time.sleep(self._pause_seconds)

    def _connection(self) -> Iterator[Job]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._seen:
            headers["Last-Event-ID"] = self._seen
        transport, timeout = self._transport, self._transport.timeout(_SILENCE_SECONDS)
        self._failing_since = self._failing_since or time.monotonic()  # until an event comes
        try:
            with transport.http.stream("GET", self._path, headers=headers, timeout=timeout) as response:
                if not response.is_success:
                    response.read()
                    raise transport.refused(response)
                if response.status_code != httpx.codes.NO_CONTENT:
                    yield from self._events(response)
                    return
        except httpx.TransportError as error:
            raise transport.broken(error) from error
        # 204: it ended, and that event was the last one seen
        yield transport.read(transport.send(Call("GET", self._path.removesuffix("/events"))), Job.read)

    def _events(self, response: httpx.Response) -> Iterator[Job]:
        try:
            for event in EventSource(response).iter_sse():
                if event.retry is not None:
                    self._pause_seconds = min(event.retry / 1000, _PAUSE_MAX_SECONDS)
                if event.event in ("reconnect", "erased"):  # to an erased job the service then answers 410
                    self._failing_since = None
                    return
                if event.event == "ticket":
                    job = Job.read(json.loads(event.data))
                    self._seen = event.id
                    yield job
        except (SSEError, ValueError, KeyError, TypeError) as error:
            raise NotTurno(f"{self._transport.shown_url} gave events that are not Turno's.") from error

    def _bear(self, fault: Fault) -> None:
        """Returns when it is worth to connect again, after a pause; else raises what went wrong."""
        now = time.monotonic()
        self._failing_since = self._failing_since or now
        self._pause_seconds = fault.after_seconds or min(2 * self._pause_seconds, _PAUSE_MAX_SECONDS)
        if not fault.again or now - self._failing_since + self._pause_seconds > self._transport.retry_seconds:
            raise fault.error from fault.__cause__
