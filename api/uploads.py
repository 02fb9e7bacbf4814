"""An upload on its way from the socket into the image store, never whole in memory."""

from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.forms import Body, read_body
from api.threads import in_image_thread
from shared.errors import MalformedRequest, UploadTooLarge
from shared.imagefile import require_image
from shared.images import ImageStore
from shared.images.incoming import Incoming
from shared.settings import Settings

FORM_OVERHEAD_BYTES = 65_536  # multipart boundaries and the other fields around the image
_SPILL_BYTES = 262_144  # up to here an image waits in memory and costs a single hop to a thread


@dataclass(frozen=True, slots=True)
class Upload:
    """What came with an image that is now in the store."""

    filename: str | None
    fields: dict[str, str]


async def receive_upload(request: Request, images: ImageStore, settings: Settings, job_id: str) -> Upload:
    """Streams the request's image into the store, where it is durable when this returns.

    Raises:
        MalformedRequest: broken multipart, no `file` in it, or the upload broke off.
        UploadTooLarge: raised while reading, as soon as the limit is passed.
        ImageTypeRefused, ImageUndecodable, ImageTooManyPixels: nothing is kept.
        StorageFull: the disk has no room.
        StoreUnavailable: the bucket did not take it.
    """
    body = read_body(request.headers.get("content-type", ""), request.headers.get("content-disposition"))
    incoming = images.receive(job_id)
    try:
        await _stream(request, body, incoming, settings.upload_max_bytes)

        def keep() -> None:
            incoming.append(body.image)
            incoming.keep(lambda path: require_image(path, settings.image_max_pixels))

        await in_image_thread(keep)
        return Upload(body.filename, body.fields)
    except ClientDisconnect as error:
        raise MalformedRequest("The upload broke off.") from error
    finally:
        await in_image_thread(incoming.close)


async def _stream(request: Request, body: Body, incoming: Incoming, most_bytes: int) -> None:
    spilled = received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > most_bytes + FORM_OVERHEAD_BYTES:
            raise UploadTooLarge(f"The upload has more than {most_bytes:,} bytes.")
        body.feed(chunk)
        if spilled + len(body.image) > most_bytes:
            raise UploadTooLarge(f"The image has more than {most_bytes:,} bytes.")
        if len(body.image) >= _SPILL_BYTES:
            spilled += len(body.image)
            await in_image_thread(incoming.append, bytes(body.image))
            body.image.clear()
    body.finish()
