"""Many images in few requests, and what became of them in the order in which they were given."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx

from turno.client.answers import Batch, BatchResult, JobError, Part, refused_file
from turno.client.errors import Refused
from turno.client.images import Image, Outgoing, portions
from turno.client.transport import Call, Form, Transport

FILES_MAX = 100  # what a broken connection makes us send again
BYTES_MAX = 100_000_000
_PAUSE_SECONDS = (0.5, 5.0)
_TOO_LARGE = httpx.codes.REQUEST_ENTITY_TOO_LARGE
_LANDING_SECONDS = 120  # the service writes every file to its disk before it answers

Accepted = Callable[[Batch], None]


def send_batch(
    transport: Transport, images: Iterable[Image], fields: Mapping[str, str], key: str, on_accepted: Accepted | None
) -> Batch:
    """Sends the images; each request that came through is told to `on_accepted`."""
    parts: list[Part] = []
    for number, portion in enumerate(portions(images, FILES_MAX, BYTES_MAX)):
        for part in _send(transport, portion, fields, f"{key}.{number}"):
            parts.append(part)
            if on_accepted:
                on_accepted(Batch((part,)))
    return Batch(tuple(parts))


def look(transport: Transport, batch: Batch | str) -> Batch:
    """The batch as it stands now."""

    def fetched(batch_id: str) -> Part:
        return transport.read(transport.send(Call("GET", _path(batch_id))), Part.read)

    if isinstance(batch, str):
        return Batch((fetched(batch),))
    return Batch(tuple(part if part.id is None or part.done else fetched(part.id) for part in batch.parts))


def progress(transport: Transport, batch: Batch | str, timeout_seconds: float | None) -> Iterator[Batch]:
    """The batch as it stands again and again, until it is done or the time is over."""
    end = time.monotonic() + (math.inf if timeout_seconds is None else timeout_seconds)
    found = batch
    while True:
        found = look(transport, found)
        yield found
        left_seconds = end - time.monotonic()
        if found.done or left_seconds <= 0:
            return
        least, most = _PAUSE_SECONDS
        time.sleep(min(max(least, (found.eta_seconds or 1) / 4), most, left_seconds))


def results(transport: Transport, batch: Batch | str) -> list[BatchResult]:
    """What became of each file; those that have not ended are among them."""
    parts = look(transport, batch).parts if isinstance(batch, str) else batch.parts
    found: list[BatchResult] = []
    offset = 0  # of this part among all images
    for part in parts:
        of_part = part.refused if part.id is None else transport.read(_results(transport, part.id), _read_results)
        found += [replace(one, index=one.index + offset) for one in sorted(of_part, key=lambda one: one.index)]
        offset += part.total
    return found


def _results(transport: Transport, batch_id: str) -> httpx.Response:
    return transport.send(Call("GET", f"{_path(batch_id)}/results"))


def _read_results(document: Any) -> Sequence[BatchResult]:
    return [BatchResult.read(one) for one in document["results"]]


def _send(transport: Transport, portion: list[Outgoing], fields: Mapping[str, str], key: str) -> Iterator[Part]:
    call = Call(
        "POST",
        "/v1/batches",
        headers={"Idempotency-Key": key},
        form=Form(fields, portion),
        wait_seconds=_LANDING_SECONDS,
    )
    try:
        answer = transport.send(call)
    except Refused as refusal:
        if refusal.code == "batch-refused" or (refusal.status == _TOO_LARGE and len(portion) == 1):
            yield _refused(portion, refusal)
            return
        if refusal.status != _TOO_LARGE:
            raise
        half = len(portion) // 2  # the service, or a proxy, takes less at once
    else:
        yield transport.read(answer, Part.read)
        return
    yield from _send(transport, portion[:half], fields, f"{key}a")
    yield from _send(transport, portion[half:], fields, f"{key}b")


def _refused(portion: list[Outgoing], refusal: Refused) -> Part:
    """None of these images was accepted: each with its own reason where the service gave one."""
    error = JobError(refusal.code, detail=refusal.detail)
    files = {index: BatchResult(index, one.name, "refused", error=error) for index, one in enumerate(portion)}
    files |= {one["index"]: refused_file(one) for one in refusal.problem.get("refused", ())}
    return Part(None, len(portion), {"refused": len(portion)}, refused=tuple(files.values()))


def _path(batch_id: str) -> str:
    return f"/v1/batches/{quote(batch_id, safe='')}"
