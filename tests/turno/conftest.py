"""`turno up` as a real process, on a free port and its own data."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from tests.turno.faulty_server import FaultyServer
from tests.waiting import wait_for

_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Started:
    """A running command and what it has printed so far."""

    process: subprocess.Popen[bytes]
    printed: Path
    pids: list[int] = field(default_factory=list)

    @property
    def output(self) -> str:
        return self.printed.read_text(errors="replace")

    def wait_for_output(self, text: str) -> None:
        def there() -> bool:
            assert text in self.output or self.process.poll() is None, self.output
            return text in self.output

        wait_for(there, f"{text!r} in the output", seconds=40)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Sends a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(40)


@pytest.fixture
def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def environment(tmp_path: Path, free_port: int) -> dict[str, str]:
    """Nothing of the developer's own settings, except the way to programs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(_ROOT), "PORT": str(free_port), "STATE_DIR": str(tmp_path / "var")}


Start = Callable[..., Started]


def _terminal(printed: Path) -> IO[bytes]:
    """A terminal on which what is printed is written down."""
    ours, theirs = os.openpty()

    def write_down() -> None:
        with printed.open("wb", buffering=0) as file, contextlib.suppress(OSError):  # EIO: nobody has it open any more
            while data := os.read(ours, 65_536):
                file.write(data)
        os.close(ours)

    printed.touch()
    threading.Thread(target=write_down, daemon=True).start()
    return os.fdopen(theirs, "wb")


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    """Starts `python …` with these settings; whatever still runs at the end is killed."""
    started: list[Started] = []

    def run(*arguments: str, on_terminal: bool = False, **settings: str) -> Started:
        printed = tmp_path / f"printed-{len(started)}"
        with _terminal(printed) if on_terminal else printed.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=tmp_path,  # no .env here
                env={**environment, **settings},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(Started(process, printed))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    """A server that answers as a test tells it to, faults included."""
    with FaultyServer().running() as server:
        yield server
