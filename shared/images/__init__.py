"""Where uploaded images lie between upload and erasure, each under its job's id: a folder or a bucket."""

from typing import BinaryIO, Protocol

from shared.images.incoming import Incoming
from shared.images.local import LocalImages
from shared.settings import Settings, is_bucket


class ImageStore(Protocol):
    """Images by job id, in 256 parts named by the id's last two characters."""

    readers: int  # how many images are worth reading at once

    def prepare(self) -> None:
        """Makes the store usable, or proves that it is; safe to call from several processes.

        Raises:
            OperatorError: it cannot be used.
        """
        ...

    def receive(self, job_id: str) -> Incoming:
        """Begins to store an image; nothing is there under its id before `Incoming.keep` returns."""
        ...

    def open(self, job_id: str) -> BinaryIO:
        """The stored bytes.

        Raises:
            OSError: there is no such image, or it cannot be read; if the store is there, see `require_readable`.
            StoreUnavailable: the store does not answer.
        """
        ...

    def require_readable(self) -> None:
        """Raises OSError or StoreUnavailable unless the store answers at all."""
        ...

    def delete(self, job_id: str) -> None:
        """Removes an image; one that is gone already is fine.

        Raises:
            OSError: it may still be there.
        """
        ...

    def shard(self, number: int, older_than_seconds: float) -> list[str]:
        """The ids of the images in one of the 256 parts that are older than this; begun uploads go at once.

        Raises:
            OSError: the store does not answer.
        """
        ...

    def ping(self) -> None:
        """Passes if an image could be stored now.

        Raises:
            StorageFull: unwritable, or hardly any room left.
            StoreUnavailable: the store does not answer.
        """
        ...


def open_images(settings: Settings) -> ImageStore:
    """The store that `IMAGE_STORE` names.

    Raises:
        OperatorError: the credentials for the bucket cannot be read.
    """
    if is_bucket(settings.image_store):
        from shared.images.bucket import BucketImages  # brings in obstore, which a folder does not need

        return BucketImages(settings)
    return LocalImages(settings.images_dir)
