"""Connections to addresses that were checked, over which a peer may say only so much.

What httpcore is given to connect with: it asks for a name, and gets the addresses that the name was checked with,
whatever it may lead to by now. Host, SNI and the certificate's check keep the name.
"""

import ssl
from collections.abc import Iterable, Sequence
from typing import Any

import httpcore

from shared.netguard import Address

_PIECE_BYTES = 4096  # read at once: a flood is parsed in small portions, between which others have their turn
_MOST_BYTES = 65_536  # said in all: interim answers and headers, too, could go on for ever


class AnswerTooLong(Exception):
    """The peer has said more than anybody needs."""


class PinnedNetwork(httpcore.AsyncNetworkBackend):
    """Leads to these addresses alone."""

    def __init__(self, addresses: Sequence[Address], most_seconds: float) -> None:
        """Takes the addresses in the order in which they are tried.

        Args:
            most_seconds: shared among the addresses: one that does not answer leaves time for the next.
        """
        self._addresses = [str(address) for address in addresses]
        self._share_seconds = most_seconds / len(addresses)
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that takes one."""
        *others, last = self._addresses
        for address in others:
            try:
                return _Bounded(await self._network.connect_tcp(address, port, self._share_seconds))
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return _Bounded(await self._network.connect_tcp(last, port))


class _Bounded(httpcore.AsyncNetworkStream):
    """A connection that has had enough at some point."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._left_bytes = _MOST_BYTES

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._left_bytes <= 0:
            raise AnswerTooLong
        data = await self._stream.read(min(max_bytes, _PIECE_BYTES), timeout)
        self._left_bytes -= len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return _Bounded(await self._stream.start_tls(ssl_context, server_hostname, timeout))
        except BaseException:
            await self._stream.aclose()  # httpcore forgets a connection whose handshake is canceled
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
