"""What watchers learn when Redis or the database fails, and what the log says of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.logs import configure_logging
from tests.api.hub import NEVER_SECONDS, SOON_SECONDS, Hub, play, soon
from tests.api.service import log_lines
from tests.redis_server import RedisServer
from tests.shared.make import add, claim


@pytest.fixture
def own_redis(short_folder: Path) -> Iterator[RedisServer]:
    """A Redis that a test may kill."""
    server = RedisServer(short_folder)
    server.start()
    yield server
    server.kill()


def test_a_database_that_fails_costs_rounds_and_two_lines_of_log(
    redis_server: RedisServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a")
        (watch,) = await hub.watching("a")
        claim(hub.database, "a")
        hub.rename("jobs", "away")
        hub.questions.clear()
        await soon(lambda: len(hub.questions) >= 5)
        assert watch.version == 1
        hub.rename("away", "jobs")
        assert await watch.news(SOON_SECONDS)
        assert watch.version == 2

    configure_logging("INFO")
    play(scenario, redis_server, tmp_path, 0.05)
    said = [line["event"] for line in log_lines(capsys.readouterr().out) if line["logger"] == "api.waiting"]
    assert said == ["the database does not tell how watched jobs stand", "it works again"]


def test_redis_may_be_killed_and_started_again(
    own_redis: RedisServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a", "b")
        first, second = await hub.watching("a", "b")
        own_redis.kill()
        claim(hub.database, "a")
        await hub.waiting.announce(["unknown"])  # fails, and nobody hears of it
        assert await first.news(SOON_SECONDS)  # as SQL tells
        own_redis.start()
        await soon(lambda: hub.subscriptions() == 1)
        hub.reread(NEVER_SECONDS)
        questions = len(hub.questions)
        await soon(lambda: len(hub.questions) > questions)  # the last comparison that was on its way
        claim(hub.database, "b")
        hub.announce("b")
        assert await second.news(SOON_SECONDS)

    configure_logging("INFO")
    play(scenario, own_redis, tmp_path, 0.2)
    said = [line["event"] for line in log_lines(capsys.readouterr().out) if line["logger"] == "api.waiting"]
    assert said == ["no news from Redis; watched jobs are read from SQL", "it works again"]


def test_what_a_process_announces_itself_reaches_its_own_watchers_without_redis(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    async def scenario(hub: Hub) -> None:
        add(hub.database, "a")
        (watch,) = await hub.watching("a")
        own_redis.kill()
        claim(hub.database, "a")
        await hub.waiting.announce(["a"])
        assert await watch.news(SOON_SECONDS)
        assert watch.version == 2

    play(scenario, own_redis, tmp_path)
