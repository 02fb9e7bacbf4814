"""Questions asked in one go: as few rounds as can be, each asker with an answer, and nobody's end another's."""

import asyncio

import pytest

from api.gathering import Gathered


class Store:
    """Answers once it is let, and notes what it was asked."""

    def __init__(self) -> None:
        self.rounds: list[list[str]] = []
        self.let = asyncio.Event()

    async def ask(self, ids: list[str]) -> dict[str, str]:
        self.rounds.append(ids)
        await self.let.wait()
        if "broken" in ids:
            raise RuntimeError
        return {id_: f"of {id_}" for id_ in ids}


async def _ask(gathered: Gathered[str], *ids: str) -> "asyncio.Task[dict[str, str]]":
    task = asyncio.create_task(gathered.answer(list(ids)))
    for _ in range(5):  # as far as it gets without an answer
        await asyncio.sleep(0)
    return task


def test_what_comes_during_a_round_goes_together_into_the_next() -> None:
    async def run() -> None:
        store = Store()
        gathered = Gathered(store.ask)
        tasks = [await _ask(gathered, id_) for id_ in "abc"]
        assert store.rounds == [["a"]]
        store.let.set()
        answers = await asyncio.gather(*tasks)
        assert store.rounds == [["a"], ["b", "c"]]
        assert [answer[id_] for answer, id_ in zip(answers, "abc", strict=True)] == ["of a", "of b", "of c"]

    asyncio.run(run())


def test_who_goes_away_ends_it_for_nobody_else() -> None:
    async def run() -> None:
        store = Store()
        gathered = Gathered(store.ask)
        first, second = await _ask(gathered, "a"), await _ask(gathered, "b")
        third = await _ask(gathered, "c")
        first.cancel()
        second.cancel()
        store.let.set()
        assert (await third)["c"] == "of c"

    asyncio.run(run())


def test_a_round_that_fails_does_not_fail_the_next() -> None:
    async def run() -> None:
        store = Store()
        gathered = Gathered(store.ask)
        broken, after = await _ask(gathered, "broken"), await _ask(gathered, "a")
        store.let.set()
        with pytest.raises(RuntimeError):
            await broken
        assert (await after)["a"] == "of a"

    asyncio.run(run())
