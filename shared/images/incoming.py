"""An image on its way into the store: what every kind of store does until it lands."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from shared.errors import StorageFull
from shared.jobs import UPLOAD_MAX_SECONDS

STRAY_SECONDS = 4 * UPLOAD_MAX_SECONDS  # what has no row by then never gets one
_RESERVE_BYTES = 64_000_000  # kept free for the database, which must still be able to write results


class Incoming:
    """A temporary file on this machine that is checked, and then becomes the stored image, or goes."""

    def __init__(self, temporary: Path, land: Callable[[BinaryIO], None]) -> None:
        """Takes where to collect the bytes; `land` stores the complete file durably, or raises and leaves nothing."""
        self._temporary = temporary
        self._land = land
        self._file: BinaryIO | None = None

    def append(self, data: bytes | bytearray) -> None:
        """Adds bytes at the end.

        Raises:
            StorageFull: the disk has no room.
        """
        try:
            if self._file is None:
                require_room(self._temporary.parent)
                self._file = self._temporary.open("w+b")
            self._file.write(data)
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
        assert self._file is not None
        try:
            self._file.flush()
            check(self._temporary)
            self._land(self._file)
        except OSError as error:
            raise StorageFull from error

    def close(self) -> None:
        """Removes what was not kept; to be called in any case."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk refuses the last bytes again
                self._file.close()
            self._temporary.unlink(missing_ok=True)


def require_room(folder: Path) -> None:
    """Passes if the folder could take an image now.

    Raises:
        StorageFull: unwritable, or hardly any room left.
        OSError: there is no such folder.
    """
    if shutil.disk_usage(folder).free < _RESERVE_BYTES or not os.access(folder, os.W_OK):
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
