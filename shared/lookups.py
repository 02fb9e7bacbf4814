"""Where names lead, asked in threads of their own: the resolver blocks, and what asks it cannot be stopped."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from ipaddress import ip_address
from weakref import WeakValueDictionary

from shared.errors import NamesUnavailable
from shared.netguard import Address, Network, Target, resolve

_THREADS = 64
_FOR_ONE_CALLER = 8  # whoever owns a zone can make any number of its names hang


class Lookups:
    """Asks for many names at once, for each of them once at a time, and for a caller in so many threads at most.

    A thread counts until it ends, however long ago whoever asked has gone. None of them keeps a process from ending.
    """

    def __init__(self, networks: Sequence[Network], most_seconds: float) -> None:
        """Takes what the operator allows.

        Args:
            networks: private networks to which names may lead.
            most_seconds: how long anybody waits.
        """
        self._networks = networks
        self._most_seconds = most_seconds
        self._running: dict[tuple[str, str], asyncio.Future[list[Address]]] = {}
        self._everybodys = asyncio.Semaphore(_THREADS)
        self._callers: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def addresses(self, target: Target, caller: str) -> list[Address]:
        """The checked addresses to which the target's name leads now.

        Args:
            caller: whose threads are taken: with all of them taken, the next name waits for one that ends.

        Raises:
            WebhookRefused, NamesUnavailable: as `resolve` does; the latter also when it takes too long.
        """
        if _is_address(target.host):
            return resolve(target, self._networks)
        lookup = None
        try:
            async with asyncio.timeout(self._most_seconds):
                lookup = await self._lookup(target, caller)
                return await asyncio.shield(lookup)
        except TimeoutError:
            if lookup is None:
                reason = "was not looked up: look-ups of other names hang"
            else:
                reason = f"could not be looked up within {self._most_seconds:g} s"
            raise NamesUnavailable(f"{target.host} {reason}; try again later.") from None

    async def _lookup(self, target: Target, caller: str) -> asyncio.Future[list[Address]]:
        """The look-up of this name that runs already, or a new one as soon as there is a thread for it."""
        name = target.scheme, target.host
        if name in self._running:
            return self._running[name]
        callers = self._callers.setdefault(caller, asyncio.Semaphore(_FOR_ONE_CALLER))
        with ExitStack() as taken:
            for threads in (callers, self._everybodys):
                await threads.acquire()
                taken.callback(threads.release)
            if name not in self._running:  # nobody else began it meanwhile
                self._running[name] = lookup = _in_daemon_thread(partial(resolve, target, self._networks))
                taken.callback(self._running.pop, name)
                until_its_end = taken.pop_all()
                lookup.add_done_callback(lambda _: until_its_end.close())
            return self._running[name]


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _in_daemon_thread(work: Callable[[], list[Address]]) -> asyncio.Future[list[Address]]:
    """What `work` will return; executors wait for their threads when a process ends, hence none of them."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[list[Address]] = loop.create_future()

    def fail(error: Exception) -> None:
        ended.set_exception(error)
        ended.exception()  # asyncio would log one for which nobody waits any more

    def run() -> None:
        try:
            tell = partial(ended.set_result, work())
        except Exception as error:  # it is whoever waits that knows what to do
            tell = partial(fail, error)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=run, name="lookup", daemon=True).start()
    return ended
