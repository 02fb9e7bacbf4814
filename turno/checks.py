"""What must hold before anything is started; each failure is one sentence that says what to do."""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from shared.errors import OperatorError

_ROOM_MIN_BYTES = 200_000_000
_FIRST_FREE_PORT = 1024


def check_state_dir(folder: Path) -> None:
    """Makes the state folder where it is missing.

    Raises:
        OperatorError: it cannot be made or written, or less than 200 MB are free.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"room for a line")
            probe.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OperatorError(
            f"The state folder {folder} cannot be written ({reason}): set STATE_DIR to one that can."
        ) from error
    if free < _ROOM_MIN_BYTES:
        raise OperatorError(
            f"The state folder {folder} has {free // 1_000_000} MB of room and 200 MB are needed: "
            "free some, or set STATE_DIR to a folder on another disk."
        )


@contextlib.contextmanager
def only_start(folder: Path) -> Iterator[None]:
    """Holds the state folder for this process; the lock ends with the process, however that ends.

    Raises:
        OperatorError: another process holds it.
    """
    # not filelock: it empties the file before it tries, and the holder's number is in there
    descriptor = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            raise OperatorError(
                f"Turno already runs on {folder} (process {holder}): stop it first, or set STATE_DIR to another folder."
            ) from None
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        yield
    finally:
        os.close(descriptor)


def check_port(host: str, port: int) -> None:
    """Binds the address for a moment, as the server will.

    Raises:
        OperatorError: it is taken, needs more rights, or is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:  # gaierror is one
        raise OperatorError(_port_sentence(host, port, error)) from error


def _port_sentence(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use: stop what listens there, or set PORT=…"
    if error.errno == errno.EACCES:
        return f"Port {port} needs root's rights: set PORT to {_FIRST_FREE_PORT} or above."
    return f"HOST={host} is not an address of this machine ({error.strerror}): set HOST to 127.0.0.1 or 0.0.0.0."
