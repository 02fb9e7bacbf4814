"""A peer that speaks HTTP: one uvicorn process, with the loop and the parser that Turno has, in a folder of its own."""

import contextlib
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Self

from bench.processes import Process, plain_environment
from tests.waiting import wait_for

_START_SECONDS = 120.0


class Server:
    """A context manager; the application is imported by the process alone."""

    def __init__(self, application: str, on: list[int], **environment: str) -> None:
        """Starts it on these cores and returns when it takes connections."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder = Path(tempfile.mkdtemp(prefix="turno-bench-"))
        options = ["--port", str(self.port), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
        command = [sys.executable, "-m", "uvicorn", application, *options]
        self.process = Process(command, plain_environment(**environment), self._folder, self._folder / "log", on)
        try:
            wait_for(self._listens, f"{application} to listen", _START_SECONDS)
        except BaseException as error:
            error.add_note(self.process.last_words())
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def _end(self) -> None:
        self.process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
