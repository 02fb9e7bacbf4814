"""Images as files of a folder."""

import os
import time
from pathlib import Path
from typing import BinaryIO

from shared.errors import OperatorError
from shared.images.incoming import Incoming, older, remove_begun, require_room

_FANOUT = 256


class LocalImages:
    """Images in a folder of this machine or of a volume that API and worker share."""

    readers = 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"

    def prepare(self) -> None:
        """See `ImageStore.prepare`."""
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            for number in range(_FANOUT):
                (self._folder / f"{number:02x}").mkdir(exist_ok=True)
        except OSError as error:
            raise OperatorError(
                f"Images cannot be kept in {self._folder} ({error.strerror}): make it writable for user {os.getuid()}, "
                "or set IMAGE_STORE or STATE_DIR to another folder."
            ) from error

    def receive(self, job_id: str) -> Incoming:
        """See `ImageStore.receive`."""
        # strings: with a Path for each step the store's own part of the work costs more than twice as much
        temporary, folder = f"{self._incoming}/{job_id}", f"{self._folder}/{job_id[-2:]}"
        final = f"{folder}/{job_id}"

        def land(descriptor: int) -> None:
            os.rename(temporary, final)  # noqa: PTH104
            try:
                # after the move: then the disk writes its journal once, not twice. Before its row is there nobody asks
                # for the image, and what a power cut leaves of one without a row is swept
                os.fsync(descriptor)
                _sync_folder(folder)
            except OSError:
                Path(final).unlink(missing_ok=True)
                raise

        return Incoming(temporary, land)

    def open(self, job_id: str) -> BinaryIO:
        """See `ImageStore.open`."""
        return self._path(job_id).open("rb")

    def require_readable(self) -> None:
        """See `ImageStore.require_readable`."""
        with os.scandir(self._incoming) as entries:
            next(entries, None)

    def delete(self, job_id: str) -> None:
        """See `ImageStore.delete`."""
        self._path(job_id).unlink(missing_ok=True)

    def shard(self, number: int, older_than_seconds: float) -> list[str]:
        """See `ImageStore.shard`."""
        before = time.time() - older_than_seconds
        remove_begun(self._incoming, before)
        return [path.name for path in older(self._folder / f"{number % _FANOUT:02x}", before)]

    def ping(self) -> None:
        """See `ImageStore.ping`."""
        require_room(self._incoming)

    def _path(self, job_id: str) -> Path:
        return self._folder / job_id[-2:] / job_id


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
