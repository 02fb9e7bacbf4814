"""The supervisor with real little processes."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.turno.processes import is_alive, pid_in, run_loop
from tests.waiting import wait_for
from turno.screen import Screen
from turno.supervisor import Backoff, Program, Supervisor

_HASTY = Backoff(first_seconds=0.01, longest_seconds=0.04, forgiven_after_seconds=60)


class Recorder(Screen):
    """Keeps what would have been shown."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.relayed: list[tuple[str, str]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def relay(self, name: str, line: str) -> None:
        self.relayed.append((name, line))


@pytest.fixture
def screen() -> Recorder:
    return Recorder()


def python(source: str, *, grace_seconds: float = 10, name: str = "child") -> Program:
    return Program(name, (sys.executable, "-c", textwrap.dedent(source)), dict(os.environ), grace_seconds)


def run(work: Coroutine[Any, Any, None]) -> None:
    run_loop(asyncio.wait_for(work, 60))


async def until(condition: Any, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_crashed_process_is_started_again_after_growing_pauses(screen: Recorder) -> None:
    async def work() -> None:
        async with Supervisor(screen, _HASTY) as supervisor:
            supervisor.keep(Program("child", ("false",), dict(os.environ)))
            await until(lambda: len(screen.said) >= 5)

    run(work())
    pauses = [line.rpartition("again in ")[2] for line in screen.said[:5]]
    assert pauses == ["0.01 s.", "0.02 s.", "0.04 s.", "0.04 s.", "0.04 s."]
    assert screen.said[0].startswith("child ended (exit code 1)")


def test_a_long_life_forgives_earlier_crashes() -> None:
    backoff = Backoff(first_seconds=0.5, longest_seconds=30, forgiven_after_seconds=60)
    assert backoff.next(8, lived_seconds=59) == 16
    assert backoff.next(20, lived_seconds=1) == 30
    assert backoff.next(30, lived_seconds=60) == 0.5


def test_a_command_that_cannot_run_is_tried_again(screen: Recorder) -> None:
    async def work() -> None:
        async with Supervisor(screen, _HASTY) as supervisor:
            supervisor.keep(Program("child", ("/nowhere/at-all",), {}))
            await until(lambda: len(screen.said) >= 2)

    run(work())
    assert "No such file" in screen.said[0]


def test_a_process_has_its_grace_to_finish(screen: Recorder) -> None:
    source = """
        import signal, sys
        def finish(*_):
            print("finished", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, finish)
        print("working", flush=True)
        while True:
            signal.pause()
    """

    async def work() -> None:
        async with Supervisor(screen) as supervisor:
            supervisor.keep(python(source))
            await until(lambda: screen.relayed)
            await supervisor.stop("child")

    run(work())
    assert screen.relayed == [("child", "working"), ("child", "finished")]
    assert screen.said == []  # it was neither killed nor started again


def test_a_process_that_overstays_its_grace_is_killed_with_its_children(screen: Recorder, tmp_path: Path) -> None:
    source = f"""
        import os, pathlib, signal, subprocess
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "1000"])
        pathlib.Path({str(tmp_path / "grandchild")!r}).write_text(f"{{child.pid}}\\n")
        while True:
            signal.pause()
    """

    async def work() -> None:
        async with Supervisor(screen) as supervisor:
            supervisor.keep(python(source, grace_seconds=0.2))
            await until((tmp_path / "grandchild").exists)
            await supervisor.stop("child")

    run(work())
    assert screen.said == ["child did not end within 0.2 s and is killed."]
    grandchild = pid_in(tmp_path / "grandchild")
    wait_for(lambda: not is_alive(grandchild), "the grandchild's end")


def test_children_of_a_crashed_process_go_with_it(screen: Recorder, tmp_path: Path) -> None:
    source = f"""
        import os, pathlib, subprocess
        child = subprocess.Popen(["sleep", "1000"])
        pathlib.Path({str(tmp_path / "grandchild")!r}).write_text(f"{{child.pid}}\\n")
        os._exit(7)
    """

    async def work() -> None:
        async with Supervisor(screen) as supervisor:
            ending = await supervisor.run_once(python(source))
            assert str(ending) == "exit code 7"

    run(work())
    grandchild = pid_in(tmp_path / "grandchild")
    wait_for(lambda: not is_alive(grandchild), "the grandchild's end")


def test_the_last_line_and_the_signal_of_an_ending_are_known(screen: Recorder) -> None:
    source = """
        import os, signal, sys
        sys.stderr.write("first\\nthe reason")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    """

    async def work() -> None:
        async with Supervisor(screen) as supervisor:
            ending = await supervisor.run_once(python(source))
            assert ending.last_line == "the reason"
            assert str(ending) == "killed by SIGKILL"

    run(work())


def test_nothing_is_left_when_the_supervisor_itself_is_killed(tmp_path: Path) -> None:
    source = f"""
        import asyncio, os, sys
        from turno.screen import Screen
        from turno.supervisor import Program, Supervisor

        async def work():
            async with Supervisor(Screen()) as supervisor:
                for name in ("one", "two"):
                    line = f"echo $$ > {tmp_path}/{{name}}; exec sleep 1000"
                    supervisor.keep(Program(name, ("sh", "-c", line), dict(os.environ)))
                await asyncio.Event().wait()

        asyncio.run(work())
    """
    supervisor = subprocess.Popen([sys.executable, "-c", textwrap.dedent(source)])
    try:
        children = [pid_in(tmp_path / name) for name in ("one", "two")]
        assert all(map(is_alive, children))
    finally:
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
    wait_for(lambda: not any(map(is_alive, children)), "the end of both children")
