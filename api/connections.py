"""What uvicorn leaves open: a connection whose request head does not come."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0  # a phone's radio wakes in less; whoever only holds connections takes them from the others


class PromptHeads(HttpToolsProtocol):
    """uvicorn's protocol, and a limit on the time in which a request's head has to be complete."""

    _late: asyncio.TimerHandle | None = None
    _begun = False  # a head that is not complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Waits for the first head."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Waits for the rest of a head that has begun; most come whole, and need no timer."""
        super().data_received(data)
        if self._begun:
            self._begun = False
            self._await_head()

    def on_message_begin(self) -> None:
        """Notes that a head has begun."""
        super().on_message_begin()
        self._begun = True

    def on_headers_complete(self) -> None:
        """Waits no more: bodies have a limit of their own (`api.uploads`)."""
        self._begun = False
        self._has_come()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more."""
        self._has_come()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._has_come()
        self._late = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _has_come(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        # an earlier request of this connection may still be waiting for its answer
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]  # None before the first
            self.transport.close()
