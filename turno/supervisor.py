"""Keeps processes running: restarts what crashes, ends each with its grace, and leaves nothing behind."""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from turno.screen import Lines, Screen

_PR_SET_PDEATHSIG = 1
_DRAIN_SECONDS = 2.0  # for the last lines of a process that has ended
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Program:
    """One process to run."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    grace_seconds: float = 5.0  # from SIGTERM to SIGKILL


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a crashed process is started again: doubling, until one lived long enough."""

    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    forgiven_after_seconds: float = 60.0

    def next(self, previous_seconds: float, lived_seconds: float) -> float:
        """The next pause, after one of `previous_seconds` (0 before the first) and a life of `lived_seconds`."""
        if lived_seconds >= self.forgiven_after_seconds or previous_seconds == 0:
            return self.first_seconds
        return min(previous_seconds * 2, self.longest_seconds)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended."""

    code: int  # negative: the signal that killed it
    last_line: str

    def __str__(self) -> str:
        if self.code < 0:
            with contextlib.suppress(ValueError):
                return f"killed by {signal.Signals(-self.code).name}"
        return f"exit code {self.code}"


@dataclass(slots=True)
class _Kept:
    task: "asyncio.Task[None]"
    program: Program
    stopping: bool = False


@dataclass(slots=True)
class Supervisor:
    """The processes of one start; use it as an async context manager, which kills what is left at the end."""

    screen: Screen
    backoff: Backoff = field(default_factory=Backoff)
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _alive: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for kept in self._kept.values():
            kept.stopping = True
            kept.task.cancel()
        self.kill_all()
        await asyncio.gather(*(kept.task for kept in self._kept.values()), return_exceptions=True)

    async def run_once(self, program: Program) -> Ending:
        """Runs a process to its end; cancelling this kills it."""
        process, output = await _spawn(program)
        self._alive[program.name] = process
        relay = asyncio.create_task(self._relay(program.name, output))
        try:
            code = await process.wait()
        finally:
            _kill_group(process)  # children that it left behind, and itself when we are cancelled
            del self._alive[program.name]
            await process.wait()
            await asyncio.wait({relay}, timeout=_DRAIN_SECONDS)
            relay.cancel()
        return Ending(code, relay.result() if relay.done() else "")

    def keep(self, program: Program) -> None:
        """Starts a process, and starts it again whenever it ends, until it is stopped."""
        task = asyncio.create_task(self._keep(program), name=program.name)
        self._kept[program.name] = _Kept(task, program)

    async def stop(self, name: str) -> None:
        """Ends a kept process: SIGTERM, its grace, SIGKILL to its whole group."""
        kept = self._kept.get(name)
        if kept is None:
            return
        kept.stopping = True
        process = self._alive.get(name)
        if process is None:
            kept.task.cancel()  # between two lives
        else:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        _, waiting = await asyncio.wait({kept.task}, timeout=kept.program.grace_seconds)
        if waiting and process:
            self.screen.say(f"{name} did not end within {kept.program.grace_seconds:g} s and is killed.")
            _kill_group(process)
            await asyncio.wait({kept.task})

    def kill_all(self) -> None:
        """Sends SIGKILL to every process and its children, without any grace."""
        for process in self._alive.values():
            _kill_group(process)

    async def _keep(self, program: Program) -> None:
        kept, pause_seconds = self._kept[program.name], 0.0
        clock = asyncio.get_running_loop().time
        while True:
            started = clock()
            ending = await self._life(program)
            if kept.stopping:
                return
            pause_seconds = self.backoff.next(pause_seconds, clock() - started)
            self.screen.say(f"{program.name} ended ({ending}); it is started again in {pause_seconds:g} s.")
            await asyncio.sleep(pause_seconds)

    async def _life(self, program: Program) -> Ending | OSError:
        try:
            return await self.run_once(program)
        except OSError as error:  # no memory or no process number left for a moment
            return error

    async def _relay(self, name: str, output: int) -> str:
        """Shows what comes out of the pipe `output` until nobody holds its other end; returns the last line."""
        reader, lines, last = asyncio.StreamReader(), Lines(), ""
        pipe = os.fdopen(output, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        with contextlib.closing(transport):
            while True:
                data = await reader.read(_READ_BYTES)
                for line in lines.feed(data):
                    self.screen.relay(name, line)
                    last = line.strip() or last
                if not data:
                    return last


async def _spawn(program: Program) -> tuple[asyncio.subprocess.Process, int]:
    """The new process, and the pipe in which all its output comes."""
    # not asyncio's own pipe: with it, wait() would last until grandchildren have closed theirs, too
    ours, theirs = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *program.command,
            env=program.environment,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then ends them in order
            preexec_fn=_leash_to(os.getpid()),
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return process, ours


def _kill_group(process: asyncio.subprocess.Process) -> None:
    # the group outlives its leader as long as one member lives; PermissionError is macOS's word for zombies
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _leash_to(parent: int) -> Callable[[], None] | None:
    """What a new process runs first so that it dies with us, even if we are killed with SIGKILL; Linux only."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: between fork and exec as little as possible may happen

    def leash() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return leash
