"""Whether a phone's photo would get through: many proxies take 1 MB unless told otherwise."""

from collections.abc import Iterator

import httpx

from turno.client import Turno
from turno.doctor.findings import Finding, fail, ok, warn
from turno.doctor.service import NEW_KEY, document

_PHOTO_BYTES = 6_000_000


def uploads(turno: Turno) -> Iterator[Finding]:
    """Sends as much as a photo has and no photo: Turno refuses it as one, a proxy for its size."""
    transport = turno.transport
    try:
        answer = transport.http.post(
            "/v1/jobs",
            content=bytes(_PHOTO_BYTES),
            headers={"Content-Type": "image/jpeg"},
            timeout=transport.timeout(0),
        )
    except httpx.TransportError as error:
        yield warn("uploads", f"6 MB did not get through: {transport.broken(error).error}", "Look at the proxy's log.")
        return
    code = document(answer).get("code")
    if code == "image-type-refused":
        yield ok("uploads", "6 MB get through")
    elif code == "scope-missing":
        yield fail("uploads", "The key is valid, but may not submit.", f"It needs the scope jobs:write: {NEW_KEY}.")
    elif code == "upload-too-large":
        yield warn(
            "uploads", "Turno takes less than 6 MB, and phone photos have more.", "Raise UPLOAD_MAX_BYTES there."
        )
    elif answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        yield fail(
            "uploads",
            "A proxy on the way takes less than 6 MB, and phone photos have more.",
            "Raise its limit to UPLOAD_MAX_BYTES and a little: nginx `client_max_body_size 26m`.",
        )
    else:
        yield warn("uploads", f"6 MB were answered with {answer.status_code}.", "Look at the proxy's log.")
