"""Where names lead, asked in threads of their own: the resolver blocks, and what asks it cannot be stopped."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from shared.errors import NamesUnavailable
from shared.netguard import Address, Network, Target, resolve

_THREADS = 32


class Lookups:
    """Asks for many names at once, and for each of them once at a time: should one hang, it takes one thread."""

    def __init__(self, networks: Sequence[Network], most_seconds: float) -> None:
        """Takes what the operator allows.

        Args:
            networks: private networks to which names may lead.
            most_seconds: how long anybody waits.
        """
        self._networks = networks
        self._most_seconds = most_seconds
        self._threads = ThreadPoolExecutor(_THREADS, "lookup")
        self._running: dict[tuple[str, str], asyncio.Future[list[Address]]] = {}

    async def addresses(self, target: Target) -> list[Address]:
        """The checked addresses to which the target's name leads now; raises what `resolve` raises."""
        name = target.scheme, target.host

        def end(lookup: asyncio.Future[list[Address]]) -> None:
            del self._running[name]
            if not lookup.cancelled():
                lookup.exception()  # asyncio would log one for which nobody waits any more

        if name not in self._running:
            until = time.monotonic() + self._most_seconds
            lookup = asyncio.get_running_loop().run_in_executor(self._threads, self._resolve, target, until)
            lookup.add_done_callback(end)
            self._running[name] = lookup
        return await asyncio.shield(self._running[name])

    def close(self) -> None:
        """Lets the threads go; does not wait for those that hang."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _resolve(self, target: Target, until: float) -> list[Address]:
        if time.monotonic() > until:  # all threads hung for so long that whoever asked has gone
            raise NamesUnavailable(f"{target.host} cannot be looked up at the moment: try again later.")
        return resolve(target, self._networks)
