"""Where uploaded images lie between upload and erasure: files named by job id."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from shared.errors import StorageFull

_FANOUT = 256
_RESERVE_BYTES = 64_000_000  # kept free for the database, which must still be able to write results


class LocalImages:
    """Images in a folder of this machine or of a volume that API and worker share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"

    def prepare(self) -> None:
        """Makes the folders; safe to call from several processes."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        for number in range(_FANOUT):
            (self._folder / f"{number:02x}").mkdir(exist_ok=True)

    def receive(self, job_id: str) -> "Incoming":
        """Begins to store an image; nothing is there under its id before `Incoming.keep` returns."""
        return Incoming(self._incoming / job_id, self._path(job_id))

    def open(self, job_id: str) -> BinaryIO:
        """The stored bytes.

        Raises:
            FileNotFoundError: there is no such image.
        """
        return self._path(job_id).open("rb")

    def require_readable(self) -> None:
        """Raises OSError unless the store answers at all."""
        with os.scandir(self._incoming) as entries:
            next(entries, None)

    def delete(self, job_id: str) -> None:
        """Removes an image; one that is gone already is fine."""
        self._path(job_id).unlink(missing_ok=True)

    def shard(self, number: int, older_than_seconds: float) -> list[str]:
        """The ids of the images in one of the 256 folders that are older than this; begun uploads go at once."""
        before = time.time() - older_than_seconds
        for path in _older(self._incoming, before):
            path.unlink(missing_ok=True)
        return [path.name for path in _older(self._folder / f"{number % _FANOUT:02x}", before)]

    def ping(self) -> None:
        """Raises unless an image could be stored now.

        Raises:
            StorageFull: unwritable, or hardly any room left.
        """
        if shutil.disk_usage(self._incoming).free < _RESERVE_BYTES or not os.access(self._incoming, os.W_OK):
            raise StorageFull

    def _path(self, job_id: str) -> Path:
        return self._folder / job_id[-2:] / job_id


class Incoming:
    """An image on its way in: a temporary file that becomes the stored one, or goes."""

    def __init__(self, temporary: Path, final: Path) -> None:
        self._temporary = temporary
        self._final = final
        self._file: BinaryIO | None = None

    def append(self, data: bytes | bytearray) -> None:
        """Adds bytes at the end.

        Raises:
            StorageFull: the disk has no room.
        """
        try:
            if self._file is None:
                if shutil.disk_usage(self._temporary.parent).free < _RESERVE_BYTES:
                    raise StorageFull
                self._file = self._temporary.open("wb")
            self._file.write(data)
        except OSError as error:
            raise StorageFull from error

    def keep(self, check: Callable[[Path], None]) -> None:
        """Stores the image durably: once this returns, a power cut does not lose it.

        Args:
            check: looks at the complete file, and raises to refuse it.

        Raises:
            StorageFull: the disk has no room.
        """
        self.append(b"")
        assert self._file is not None
        try:
            self._file.flush()
            check(self._temporary)
            os.fsync(self._file.fileno())
            self._temporary.rename(self._final)
            _sync_folder(self._final.parent)
        except OSError as error:
            self._final.unlink(missing_ok=True)
            raise StorageFull from error

    def close(self) -> None:
        """Removes what was not kept; to be called in any case."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk refuses the last bytes again
                self._file.close()
            self._temporary.unlink(missing_ok=True)


def _older(folder: Path, before: float) -> list[Path]:
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # kept or erased just now
            if path.stat().st_mtime < before:
                found.append(path)
    return found


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
