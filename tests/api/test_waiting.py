"""Many watchers, one subscription, few questions."""

import asyncio
import threading
from pathlib import Path

import sqlalchemy as sa

from api.waiting import Waiting, Watch
from shared import jobstore
from shared.database import Database
from tests.api.hub import NEVER_SECONDS, SOON_SECONDS, Hub, play, soon
from tests.redis_server import RedisServer
from tests.shared.make import add, claim, get, succeed


def erase(database: Database, job_id: str) -> None:
    database.write(lambda connection: jobstore.erase(connection, [job_id]))


def test_a_thousand_watchers_of_a_job_cost_one_query(redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a")
        watches = await hub.watching("a", watchers=1000)
        claim(hub.database, "a")
        hub.announce("a")
        assert all(await asyncio.gather(*(watch.news(SOON_SECONDS) for watch in watches)))
        assert {watch.version for watch in watches} == {2}
        assert hub.questions == [1]
        assert hub.subscriptions() == 1

    play(scenario, redis_server, tmp_path)


def test_what_happened_while_the_watch_began_is_news(redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a", "b")
        (other,) = await hub.watching("b")
        before = get(hub.database, "a")
        claim(hub.database, "a", "b")
        hub.announce("a")  # nobody watches yet
        hub.announce("b")
        assert await other.news(SOON_SECONDS)  # so that the first was heard, too
        with hub.waiting.watching(before) as watch:
            assert await watch.news(SOON_SECONDS)
            assert watch.version == 2

    play(scenario, redis_server, tmp_path)


def test_a_start_is_news_to_those_who_watch_and_not_to_those_who_wait(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a", "b")
        (waits,) = await hub.watching("a", to_the_end=True)
        (watches,) = await hub.watching("b")
        claim(hub.database, "a", "b")
        hub.announce("a", "b", started=True)
        assert await watches.news(SOON_SECONDS)
        assert (watches.version, waits.version) == (2, 1)
        assert hub.questions == [1]
        hub.announce("a")
        assert await waits.news(SOON_SECONDS)

    play(scenario, redis_server, tmp_path)


def test_announcements_of_unwatched_jobs_cost_nothing(redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a", "b")
        (watch,) = await hub.watching("a")
        hub.announce("b", "c")
        claim(hub.database, "a")
        hub.announce("b", "a", "c")
        assert await watch.news(SOON_SECONDS)
        assert hub.questions == [1]

    play(scenario, redis_server, tmp_path)


def test_what_is_announced_during_a_read_is_read_together(redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario(hub: Hub) -> None:
        ids = [f"{number:03}" for number in range(700)]
        add(hub.database, "first", *ids)
        watches = await hub.watching("first", *ids)
        claim(hub.database, "first", *ids)
        reading, go_on = threading.Event(), threading.Event()
        hub.gate = lambda: (reading.set(), go_on.wait(SOON_SECONDS))
        hub.announce("first")
        await soon(reading.is_set)
        for id_ in ids:
            hub.announce(id_)
        await soon(lambda: len(hub.waiting._due) == len(ids))
        go_on.set()
        assert all(await asyncio.gather(*(watch.news(SOON_SECONDS) for watch in watches)))
        assert hub.questions == [1, 500, 200]

    play(scenario, redis_server, tmp_path)


def test_without_any_announcement_sql_is_compared(redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a")
        (watch,) = await hub.watching("a")
        succeed(hub.database, *claim(hub.database, "a"))
        await soon(lambda: watch.version == 3)

    play(scenario, redis_server, tmp_path, 0.05)


def test_watchers_of_an_erased_job_and_of_one_without_a_row_are_told(redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a", "b")
        erased, gone = await hub.watching("a", "b")
        erase(hub.database, "a")
        hub.database.write(lambda connection: connection.execute(sa.text("DELETE FROM jobs WHERE id = 'b'")))
        hub.announce("a", "b")
        assert await erased.news(SOON_SECONDS)
        assert await gone.news(SOON_SECONDS)
        assert erased.job is not None
        assert erased.job.erased_at is not None
        assert gone.job is None

    play(scenario, redis_server, tmp_path)


def test_a_wait_ends_with_the_erasure_or_when_its_time_is_over(redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a", "b")
        first, second = get(hub.database, "a"), get(hub.database, "b")
        waiting = asyncio.create_task(hub.waiting.ended(first, SOON_SECONDS))
        erase(hub.database, "a")
        await hub.waiting.announce(["a"])
        erased = await waiting
        assert erased is not None
        assert erased.erased_at is not None
        assert await hub.waiting.ended(second, 0.05) == second

    play(scenario, redis_server, tmp_path)


def test_an_older_state_never_replaces_a_newer_one(redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a")
        old = get(hub.database, "a")
        claim(hub.database, "a")
        new = get(hub.database, "a")
        watch = Watch(new)
        watch.take(old)
        assert watch.job == new
        assert not await watch.news(0)

    play(scenario, redis_server, tmp_path)


def test_what_a_process_announces_reaches_the_others(redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a")
        (watch,) = await hub.watching("a")
        claim(hub.database, "a")
        await Waiting(hub.database, hub.redis.url).announce(["a"])
        assert await watch.news(SOON_SECONDS)

    play(scenario, redis_server, tmp_path)


def test_no_wait_outlasts_the_process(redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a")
        job = get(hub.database, "a")
        async with asyncio.timeout(SOON_SECONDS):
            waiting = asyncio.create_task(hub.waiting.ended(job, NEVER_SECONDS))
            await soon(lambda: hub.waiting._watches)
            await hub.waiting.stop()
            assert await waiting == job
            assert await hub.waiting.ended(job, NEVER_SECONDS) == job

    play(scenario, redis_server, tmp_path)


def test_a_wait_that_is_given_up_leaves_nothing(redis_server: RedisServer, tmp_path: Path) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a")
        waiting = asyncio.create_task(hub.waiting.ended(get(hub.database, "a"), NEVER_SECONDS))
        await soon(lambda: hub.waiting._watches)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert hub.waiting._watches == {}

    play(scenario, redis_server, tmp_path)
