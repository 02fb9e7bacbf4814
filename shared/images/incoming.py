"""An image on its way into the store: what every kind of store does until it lands."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from shared.errors import StorageFull
from shared.jobs import UPLOAD_MAX_SECONDS

STRAY_SECONDS = 4 * UPLOAD_MAX_SECONDS  # what has no row by then never gets one
_HOLD_BYTES = 65_536
_RESERVE_BYTES = 64_000_000  # kept free for the database, which must still be able to write results


class Incoming:
    """A temporary file on this machine that is checked, and then becomes the stored image, or goes.

    It works on a descriptor and on strings: file objects and paths cost more CPU, and each question of theirs to the
    system is one more turn to wait for among the API's threads.
    """

    def __init__(self, temporary: str, land: Callable[[int], None]) -> None:
        """Takes where to collect the bytes.

        Args:
            temporary: the file; not there yet.
            land: stores the complete file, given its descriptor, durably, and leaves no temporary one; or raises.
        """
        self._temporary = temporary
        self._land = land
        self._descriptor: int | None = None
        self._held = b""  # bytes that are not in the file yet

    def append(self, data: bytes | bytearray) -> None:
        """Adds bytes at the end.

        Raises:
            StorageFull: the disk has no room.
        """
        try:
            if self._descriptor is None:
                require_free(self._temporary.rpartition("/")[0])
                self._descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
            self._held += data
            if len(self._held) > _HOLD_BYTES:
                self._write()
        except OSError as error:
            raise StorageFull from error

    def keep(self, check: Callable[[Path], None]) -> None:
        """Stores the image durably: once this returns, a power cut does not lose it.

        Args:
            check: looks at the complete file, and raises to refuse it.

        Raises:
            StorageFull: the disk has no room.
            StoreUnavailable: the bucket did not take it.
        """
        self.append(b"")
        assert self._descriptor is not None
        try:
            self._write()
            check(Path(self._temporary))
            self._land(self._descriptor)
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
        except OSError as error:
            raise StorageFull from error

    def close(self) -> None:
        """Removes what was not kept; to be called in any case."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None
            Path(self._temporary).unlink(missing_ok=True)

    def _write(self) -> None:
        assert self._descriptor is not None
        left = memoryview(self._held)
        while left:
            left = left[os.write(self._descriptor, left) :]
        self._held = b""


def require_room(folder: Path) -> None:
    """Passes if the folder could take an image now.

    Raises:
        StorageFull: unwritable, or hardly any room left.
        OSError: there is no such folder.
    """
    require_free(folder)
    if not os.access(folder, os.W_OK):
        raise StorageFull


def require_free(folder: str | Path) -> None:
    """Passes if there is room for an image on the folder's disk.

    Raises:
        StorageFull: hardly any is left.
        OSError: there is no such folder.
    """
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < _RESERVE_BYTES:
        raise StorageFull


def remove_begun(folder: Path, before: float) -> None:
    """Removes the temporary files of uploads that broke off before this moment, with their process."""
    for path in older(folder, before):
        path.unlink(missing_ok=True)


def older(folder: Path, before: float) -> list[Path]:
    """What lies in a folder and was last written before this moment, in seconds since 1970."""
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # kept or erased just now
            if path.stat().st_mtime < before:
                found.append(path)
    return found
