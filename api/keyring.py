"""The keys that count now, in the API's memory: a request asks no database who it is."""

import asyncio
import threading
import time

from api.threads import in_thread
from shared import keystore
from shared.database import Database
from shared.errors import StoreUnavailable
from shared.jobs import ApiKey
from shared.keys import KeyRing, digest_of
from shared.logs import get_logger
from shared.loopback import is_loopback
from shared.settings import Settings

log = get_logger(__name__)

RELOAD_SECONDS = 5.0  # after this long, a key that was revoked is refused everywhere
_PAUSE_SECONDS = 1.0  # between reloads for unknown keys: guesses must not become a query each
_UNKNOWN_MAX = 10_000
_LOAD_SECONDS = 3.0  # a database that takes longer is left alone; what is known stays valid


class LiveKeys:
    """The keys of `API_KEY` and, read anew every few seconds, those of the table."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._configured = settings.api_key.get_secret_value()
        self._database = database
        self._ring = KeyRing(self._configured)
        self._loaded = False
        self._closed = bool(self._ring) or not is_loopback(settings.host)
        self._failing = False
        self._unknown: set[str] = set()  # digests of what was looked up in vain; a new secret is never one of them
        self._begun_at = 0.0
        self._loading = threading.Lock()  # a load that was given up goes on in its thread, and counts when it ends

    async def start(self) -> None:
        """Loads the keys and keeps them fresh; a database that is away is waited for in the background."""
        self._reload = asyncio.create_task(self._load())
        await asyncio.wait([self._reload])
        self._rounds = asyncio.create_task(self._go_round())

    async def stop(self) -> None:
        """Ends the reloading."""
        self._rounds.cancel()
        self._reload.cancel()
        await asyncio.gather(self._rounds, self._reload, return_exceptions=True)

    @property
    def open(self) -> bool:
        """Whether no key is needed: on loopback, and there has never been one; once closed, it stays closed."""
        return self._loaded and not self._closed

    async def find(self, given: str) -> ApiKey | None:
        """The valid key that was given, else None; for one that is unknown the table is asked at once.

        Raises:
            StoreUnavailable: the table could not be read since the start, and the answer may stand there.
        """
        if given and not self._ring.knows(given) and digest_of(given) not in self._unknown:
            await self._load_after_now()
            if not self._failing and not self._ring.knows(given) and len(self._unknown) < _UNKNOWN_MAX:
                self._unknown.add(digest_of(given))
        found = self._ring.find(given)
        if not found and not self._loaded and (given or not self._closed):
            raise StoreUnavailable
        return found

    def id_of(self, given: str) -> str:
        """How logs name a key that was given, valid or not."""
        return self._ring.id_of(given)

    async def _load_after_now(self) -> None:
        """Returns after a load that began after the call, one for all who wait."""
        asked_at = time.monotonic()
        while self._begun_at <= asked_at:
            pause = self._begun_at + _PAUSE_SECONDS - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            else:
                await self._load_once()
        await self._load_once(begin=False)

    async def _go_round(self) -> None:
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            self._unknown.clear()
            await self._load_once()

    async def _load_once(self, *, begin: bool = True) -> None:
        if begin and self._reload.done():
            self._begun_at = time.monotonic()
            self._reload = asyncio.create_task(self._load())
        await asyncio.wait([self._reload])  # whoever goes away must not end it for the others

    async def _load(self) -> None:
        try:
            await in_thread(self._read, most_seconds=_LOAD_SECONDS)
        except Exception as error:  # a round that ended here would hear of no revocation ever again
            if not self._failing:
                log.warning("the keys cannot be read; those that are known stay valid", error=str(error))
            self._failing = True

    def _read(self) -> None:
        if not self._loading.acquire(blocking=False):
            return
        try:
            ring = KeyRing(self._configured, self._database.read(keystore.load))
        finally:
            self._loading.release()
        self._ring = ring
        self._closed = self._closed or bool(ring)
        self._loaded, self._failing = True, False
