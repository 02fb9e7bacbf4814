"""Processes that the benches start: pinned, logged, measured, and ended by their own number."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from bench import cores
from turno.supervisor import _leash_to

ROOT = Path(__file__).resolve().parents[1]
_GRACE_SECONDS = 15.0


class Process:
    """One process and whatever it forks, in a session of its own."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        on: list[int],
        *,
        talks: bool = False,
        user: int | None = None,
    ) -> None:
        """Begins it.

        Args:
            folder: where it runs; a `.env` of the developer's does not lie there.
            talks: it is told things on its standard input and answers on its standard output.
            user: as whom it runs, if not as us.
        """
        pipe = subprocess.PIPE if talks else None
        self._log = log
        with log.open("ab") as sink, cores.on(on):
            self._popen = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=pipe or subprocess.DEVNULL,
                stdout=pipe or sink,
                stderr=sink,
                start_new_session=True,
                user=user,
                preexec_fn=_leash_to(os.getpid()),  # noqa: PLW1509 - it makes one system call
            )
        self.pid = self._popen.pid

    def ask(self, line: str) -> str:
        """What it answers to one line."""
        assert self._popen.stdin
        assert self._popen.stdout
        self._popen.stdin.write(line.encode() + b"\n")
        self._popen.stdin.flush()
        return self.line()

    def line(self) -> str:
        """The next line that it says."""
        assert self._popen.stdout
        said = self._popen.stdout.readline().decode()
        if not said:
            raise RuntimeError(f"process {self.pid} ended: {self.last_words()}")
        return said

    def last_words(self) -> str:
        """The end of what it has logged."""
        return self._log.read_text(errors="replace")[-1500:]

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    def family(self) -> list[psutil.Process]:
        """It and its children, the eldest first."""
        with contextlib.suppress(psutil.NoSuchProcess):
            eldest = psutil.Process(self.pid)
            return [eldest, *eldest.children(recursive=True)]
        return []

    def cpu_seconds(self) -> float:
        """What it and its living children have used, in user and system mode."""
        used = 0.0
        for one in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                used += times.user + times.system
        return used

    def pss_mib(self) -> float:
        """Its memory and its children's; pages that several processes share count for each by its part."""
        return sum(map(pss_mib, self.family()))

    def wait(self, seconds: float) -> int:
        """Its exit code."""
        return self._popen.wait(seconds)

    def stop(self) -> None:
        """SIGTERM, some grace, then SIGKILL to it and to what it forked."""
        if self.runs:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(_GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe:
                pipe.close()


def plain_environment(**more: str) -> dict[str, str]:
    """Of this environment only what every program needs, and what is said here."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **more}


def pss_mib(process: psutil.Process) -> float:
    """Proportional set size of one process; on macOS, which does not know it, the unique one."""
    memory = process.memory_full_info()
    return float(getattr(memory, "pss", memory.uss)) / 2**20
