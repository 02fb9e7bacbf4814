"""What a route may use: the parts that `api.app` put together, reached as one dependency."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, TypeVar
from weakref import WeakValueDictionary

import sqlalchemy as sa
from fastapi import Depends, Request
from prometheus_client import CollectorRegistry, Counter

from api.allowance import Allowance
from api.backlog import Backlog
from api.gathering import Gathered
from api.intake import Intake
from api.threads import MOST_SECONDS, in_thread
from api.waiting import Waiting
from shared.database import Database
from shared.errors import StoreUnavailable
from shared.images import ImageStore
from shared.jobs import ApiKey
from shared.line import Line
from shared.lookups import Lookups
from shared.netguard import Network
from shared.presence import Presence
from shared.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServiceSet:
    """The parts of one API process."""

    settings: Settings
    database: Database
    images: ImageStore
    line: Line
    presence: Presence
    intake: Intake
    backlog: Backlog
    waiting: Waiting
    allowance: Allowance
    registry: CollectorRegistry
    accepted: Counter
    model: str  # the name of the served model
    networks: list[Network]  # to which webhooks may be sent, beside public ones
    lookups: Lookups
    places: dict[str, Gathered[Any]] = field(default_factory=dict)  # by model: see `api.tickets`
    names: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` finds in the database, asked in a thread.

        Raises:
            StoreUnavailable: it took too long.
        """
        return await in_thread(self.database.read, work)

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` returns, once its changes are durable; in a thread.

        Raises:
            StoreUnavailable: it took too long, and may yet be done.
        """
        return await in_thread(partial(self.database.write, work, durable=True))

    @asynccontextmanager
    async def one_at_a_time(self, *name: str | None) -> AsyncIterator[None]:
        """Holds the submissions under a name apart: the second of two at once finds the first, and costs nothing.

        Raises:
            StoreUnavailable: those before it do not come to an end.
        """
        lock = self.names.setdefault(repr(name), asyncio.Lock())
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await lock.acquire()
        except TimeoutError as error:
            raise StoreUnavailable from error
        try:
            yield
        finally:
            lock.release()


# async: FastAPI takes a thread for each dependency that is not
async def _of_request(request: Request) -> ServiceSet:
    services: ServiceSet = request.app.state.services
    return services


async def _caller_of_request(request: Request) -> ApiKey:
    key: ApiKey = request.state.key
    return key


Services = Annotated[ServiceSet, Depends(_of_request)]
Caller = Annotated[ApiKey, Depends(_caller_of_request)]
