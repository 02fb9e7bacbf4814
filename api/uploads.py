"""Uploads on their way from the socket into the image store, never whole in memory."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import uuid_utils
from fastapi import Request

from api.forms import FilePart, read_body
from api.threads import in_image_thread
from api.wishes import Wishes
from shared.errors import MalformedRequest, RequestError, StoreUnavailable, UploadTooLarge, UploadTooSlow
from shared.imagefile import require_image
from shared.images import ImageStore
from shared.jobs import UPLOAD_MAX_SECONDS, Keep, Refused
from shared.settings import Settings
from shared.stripping import strip_metadata

FORM_OVERHEAD_BYTES = 65_536  # multipart boundaries and the other fields around the image
_SPILL_BYTES = 262_144  # up to here an image waits in memory and costs a single hop to a thread
_SLOW_START_SECONDS = 10  # phones wake their radio
_SILENCE_SECONDS = 30  # whoever was fast at first may not be silent for longer, either

ReadWishes = Callable[[dict[str, str]], Wishes]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An image that is now in the store, under the id of the job that it is for."""

    job_id: str
    index: int  # its place among the files as they were sent
    filename: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """What came with a request."""

    wishes: Wishes
    stored: list[StoredFile]
    refused: list[Refused]
    sha256: str | None  # of the files as they came, and of what was refused; None where the request has no name


class Receiver:
    """The files of one request; leaving its context with an error removes them all."""

    def __init__(
        self, request: Request, images: ImageStore, settings: Settings, *, named: bool, most_files: int = 1
    ) -> None:
        """Takes where the files come from and go to.

        Args:
            named: whether the request has a name under which it may be sent again: only then are digests compared.
            most_files: how many may come.
        """
        headers = request.headers
        self._named = named
        self._request = request
        self._images = images
        self._settings = settings
        self._single = most_files == 1
        self._body = read_body(headers.get("content-type", ""), headers.get("content-disposition"), most_files)
        self._files: list[_File] = []

    async def receive(self, read_wishes: ReadWishes) -> Upload:
        """Streams the request's images into the store, where they are durable when this returns.

        Of several files a bad one is refused by itself.

        Raises:
            MalformedRequest: broken multipart, no file in it, or the upload broke off.
            UploadTooLarge: raised while reading, as soon as the limit is passed.
            UploadTooSlow: less came than UPLOAD_MIN_BYTES_PER_SECOND, or it lasted for hours.
            ImageTypeRefused, ImageUndecodable, ImageTooManyPixels: of a single file.
            StorageFull: the disk has no room.
            StoreUnavailable: the bucket did not take it.
        """
        body = self._body
        async for chunk in self._chunks():
            body.feed(chunk)
            # one image waits for the fields behind it; of several each goes its way, and the fields come first
            await self._advance(None if self._single else lambda: read_wishes(self._fields()))
        body.finish()
        wishes = read_wishes(self._fields())
        await self._advance(lambda: wishes)
        parts = "\n".join(file.digest() for file in self._files)
        return Upload(
            wishes,
            [StoredFile(file.job_id, at, file.part.filename) for at, file in enumerate(self._files) if file.landed],
            [
                Refused(at, file.part.filename, file.refusal.code, file.refusal.detail)
                for at, file in enumerate(self._files)
                if file.refusal
            ],
            hashlib.sha256(parts.encode()).hexdigest() if self._named else None,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            await self.forget()
        for file in self._files:
            if not file.landed:
                await in_image_thread(file.incoming.close)

    @asynccontextmanager
    async def unless_refused(self) -> AsyncIterator[None]:
        """Removes what was stored if what is done meanwhile refuses it."""
        try:
            yield
        except BaseException:
            await self.forget()
            raise

    def _fields(self) -> dict[str, str]:
        form = self._body.fields
        said = self._request.query_params.multi_items() if self._request.scope["query_string"] else []
        query = dict(said)
        if len(query) < len(said):
            raise MalformedRequest("The query says something twice.")
        if twice := query.keys() & form.keys():
            raise MalformedRequest(f"Said both in the query and in the form: {', '.join(sorted(twice))[:200]}.")
        return {**query, **form}

    async def forget(self) -> None:
        """Removes what was stored; what cannot be removed now is swept."""
        for file in self._files:
            if file.landed:
                with suppress(OSError, StoreUnavailable):
                    await in_image_thread(self._images.delete, file.job_id)

    async def _advance(self, read_wishes: Callable[[], Wishes] | None) -> None:
        self._files += [
            _File(part, self._images, self._settings, alone=self._single, named=self._named)
            for part in self._body.files[len(self._files) :]
        ]
        for file in self._files:
            if file.landed or (file.refusal and file.part.complete):
                continue
            await file.drain()
            if read_wishes and file.part.complete and not file.refusal:
                await file.land(read_wishes().kept(self._settings.keep))

    async def _chunks(self) -> AsyncIterator[bytes]:
        settings, received, waited, more = self._settings, 0, 0.0, True
        most_bytes = settings.upload_max_bytes if self._single else settings.batch_upload_max_bytes
        now = asyncio.get_running_loop().time
        started = now()
        while more:
            begun = now()
            try:
                async with asyncio.timeout(self._patience_seconds(received, waited, begun - started)):
                    message = await self._request.receive()
            except TimeoutError as error:
                raise UploadTooSlow from error
            if message["type"] == "http.disconnect":
                raise MalformedRequest("The upload broke off.")
            chunk, more = message.get("body", b""), message.get("more_body", False)
            waited += now() - begun  # for the client alone: a slow disk is not its fault
            received += len(chunk)
            if received > most_bytes + FORM_OVERHEAD_BYTES:
                raise UploadTooLarge(f"The upload has more than {most_bytes:,} bytes.")
            yield chunk

    def _patience_seconds(self, received: int, waited: float, lasted: float) -> float:
        rate, left = self._settings.upload_min_bytes_per_second, UPLOAD_MAX_SECONDS - lasted
        allowed = min(_SILENCE_SECONDS, _SLOW_START_SECONDS + received / rate - waited) if rate else left
        return max(0.0, min(left, allowed))


class _File:
    """One file between its first byte and the store."""

    def __init__(self, part: FilePart, images: ImageStore, settings: Settings, *, alone: bool, named: bool) -> None:
        self.part = part
        self.job_id: str = uuid_utils.uuid7().hex
        self.incoming = images.receive(self.job_id)
        self.landed = False
        self.refusal: RequestError | None = None
        self._settings = settings
        self._alone = alone
        self._named = named
        self._spilled_bytes = 0
        self._sha256 = hashlib.sha256()

    def digest(self) -> str:
        """What tells this file from another."""
        return self.refusal.code if self.refusal else self._sha256.hexdigest()

    async def drain(self) -> None:
        """Moves what has come on to the disk, once it is worth a hop to a thread."""
        data, most_bytes = self.part.data, self._settings.upload_max_bytes
        if not self.refusal and self._spilled_bytes + len(data) > most_bytes:
            self._refuse(UploadTooLarge(f"The image has more than {most_bytes:,} bytes."))
        if self.refusal:
            data.clear()
        elif len(data) >= _SPILL_BYTES:
            self._spilled_bytes += len(data)
            await in_image_thread(self._append, bytes(data))
            data.clear()

    async def land(self, keep: Keep) -> None:
        """Checks the complete file and stores it durably."""
        most_pixels = self._settings.image_max_pixels

        def check(path: Path) -> None:
            if self._spilled_bytes:
                require_image(path, most_pixels)
            if keep is not Keep.FULL:
                strip_metadata(path)

        def work() -> None:
            try:
                data = bytes(self.part.data)
                if not self._spilled_bytes:  # the whole image is in memory, and looked at before it costs a file
                    require_image(data, most_pixels)
                self._append(data)
                self.incoming.keep(check)
            finally:
                self.incoming.close()

        try:
            await in_image_thread(work)
            self.landed = True
        except RequestError as error:
            self._refuse(error)
        finally:
            self.part.data.clear()

    def _append(self, data: bytes | bytearray) -> None:
        if self._named:
            self._sha256.update(data)
        self.incoming.append(data)

    def _refuse(self, error: RequestError) -> None:
        if self._alone:
            raise error
        self.refusal = error
