"""Images as objects of a bucket, under the keys that the files of a folder have."""

import contextlib
import io
import mmap
import time
from collections.abc import Iterator
from typing import BinaryIO

import obstore
from obstore.exceptions import PermissionDeniedError

from shared.buckets import BUCKET_FAULTS, open_bucket, reason_of
from shared.errors import OperatorError, StoreUnavailable
from shared.images.incoming import STRAY_SECONDS, Incoming, remove_begun, require_room
from shared.settings import Settings

_FANOUT = 256
_MARKER = "turno-store"  # tells a bucket that lost an image from one that is not there


class BucketImages:
    """Images in a bucket of S3 or Google Cloud Storage; on their way in they wait on this machine's disk."""

    readers = 8

    def __init__(self, settings: Settings) -> None:
        """Opens the bucket; asks nothing of it yet.

        Raises:
            OperatorError: the credentials or the endpoint in the settings cannot be used.
        """
        self._url = settings.image_store
        self._bucket = open_bucket(self._url, settings)
        self._incoming = settings.state_dir / "images" / "incoming"

    def prepare(self) -> None:
        """See `ImageStore.prepare`."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        remove_begun(self._incoming, time.time() - STRAY_SECONDS)  # there may be no courier on this machine
        try:
            self._mark()
            next(iter(obstore.list(self._bucket, "00")), None)
        except BUCKET_FAULTS as error:
            raise OperatorError(
                f"IMAGE_STORE: {self._url} cannot be written and listed ({reason_of(error)}): check that the bucket "
                "exists, and that the credentials may get, put, list and delete in it."
            ) from error

    def receive(self, job_id: str) -> Incoming:
        """See `ImageStore.receive`."""

        def land(descriptor: int) -> None:
            # the file's pages as they are: an image is not held in memory a second time, and goes in one request
            pages = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
            with _asked():
                obstore.put(self._bucket, _key(job_id), pages, use_multipart=False)
            temporary.unlink()

        temporary = self._incoming / job_id
        return Incoming(str(temporary), land)

    def open(self, job_id: str) -> BinaryIO:
        """See `ImageStore.open`."""
        try:
            return io.BytesIO(obstore.get(self._bucket, _key(job_id)).bytes().to_bytes())
        except FileNotFoundError:
            raise
        except PermissionDeniedError as error:  # of this one alone, perhaps: moved into an archive, under another key
            raise OSError(reason_of(error)) from error
        except BUCKET_FAULTS as error:
            raise StoreUnavailable from error

    def require_readable(self) -> None:
        """See `ImageStore.require_readable`."""
        with _asked():
            self._look()

    def delete(self, job_id: str) -> None:
        """See `ImageStore.delete`."""
        try:
            try:
                obstore.delete(self._bucket, _key(job_id))
            except FileNotFoundError:  # Google says this of an object, S3 of a bucket
                self._look()
        except BUCKET_FAULTS as error:
            raise OSError(reason_of(error)) from error

    def shard(self, number: int, older_than_seconds: float) -> list[str]:
        """See `ImageStore.shard`."""
        before = time.time() - older_than_seconds
        self._incoming.mkdir(parents=True, exist_ok=True)
        remove_begun(self._incoming, before)
        try:
            pages = obstore.list(self._bucket, f"{number % _FANOUT:02x}")
            found = [one for page in pages for one in page if one["last_modified"].timestamp() < before]
        except BUCKET_FAULTS as error:
            raise OSError(reason_of(error)) from error
        return [one["path"].rpartition("/")[2] for one in found]

    def ping(self) -> None:
        """See `ImageStore.ping`."""
        require_room(self._incoming)
        self.require_readable()

    def _look(self) -> None:
        try:
            obstore.head(self._bucket, _MARKER)
        except FileNotFoundError:
            self._mark()  # a rule of the bucket may have let it expire; where the bucket is missing, this fails, too

    def _mark(self) -> None:
        obstore.put(self._bucket, _MARKER, b"Turno keeps its images here.\n", use_multipart=False)


@contextlib.contextmanager
def _asked() -> Iterator[None]:
    try:
        yield
    except BUCKET_FAULTS as error:
        raise StoreUnavailable from error


def _key(job_id: str) -> str:
    return f"{job_id[-2:]}/{job_id}"
