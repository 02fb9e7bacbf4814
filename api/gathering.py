"""Questions that many have at once, asked in one go."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Gathered(Generic[T]):
    """A question about ids: what comes while an earlier round is being answered goes together into the next."""

    def __init__(self, ask: Callable[[list[str]], Awaitable[dict[str, T]]]) -> None:
        self._ask = ask
        self._ids: list[str] = []  # of the next round
        self._next: asyncio.Task[dict[str, T]] | None = None
        self._present: asyncio.Task[dict[str, T]] | None = None

    async def answer(self, ids: list[str]) -> dict[str, T]:
        """What was found about these ids, and about others."""
        self._ids += ids
        if self._next is None:
            self._next = asyncio.create_task(self._round())
        return await asyncio.shield(self._next)  # whoever goes away must not end it for the others

    async def _round(self) -> dict[str, T]:
        if self._present and not self._present.done():
            await asyncio.wait([self._present])
        ids, self._ids = self._ids, []
        self._present, self._next = self._next, None
        return await self._ask(ids)
