"""The images of a batch on their way to the model: read and decoded in chunks of what the engine runs at once.

Where the child has a second CPU, or the images come from far away, the next chunks are decoded while the model runs.
"""

import io
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from shared.cards import Card
from shared.errors import ImageMissing, ImageUndecodable, ModelFault
from shared.imagefile import open_image
from shared.images import ImageStore
from shared.jobs import Claim, Outcome
from shared.logs import get_logger
from worker.hints import image_hints
from worker.preprocessing import Float32Array, pixels_for_prediction
from worker.scaling import scale_pixels

log = get_logger(__name__)
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image that the model is to see."""

    claim: Claim
    moment: float  # as time.perf_counter
    hints: list[dict[str, Any]]


@dataclass(slots=True)
class Chunk:
    """Some claims of a batch, and what the model is to see of them."""

    inputs: Float32Array  # shape (decoded, height_px, width_px, channels)
    decoded: list[Decoded] = field(default_factory=list)
    faults: list[Outcome] = field(default_factory=list)  # of images that are missing or damaged


class Decoder:
    """Makes chunks of claims."""

    def __init__(self, images: ImageStore, card: Card, size: int, ahead: int) -> None:
        """Takes where the images lie and what the model takes.

        Args:
            size: images in a chunk.
            ahead: chunks that are decoded while the model runs, each in a thread of its own.
        """
        self._images = images
        self._card = card
        self._size = size
        far = images.readers > 1
        self._readers = ThreadPoolExecutor(images.readers, "reader") if far else None
        self._ahead = max(ahead, 1) if far else ahead  # who reads from far away waits more than it computes
        self._decoders = ThreadPoolExecutor(self._ahead, "decoder") if self._ahead else None

    def warm_up(self) -> None:
        """Decodes a picture of every kind, made here."""
        for kind in ("JPEG", "PNG"):
            picture = io.BytesIO()
            Image.new("RGB", (8, 8)).save(picture, kind)
            with open_image(picture) as image:
                size_px = image.size
                pixels = pixels_for_prediction(image, self._card)
            image_hints(pixels, size_px, self._card)

    def chunks(self, claims: Sequence[Claim], until: float) -> Iterator[Chunk]:
        """The claims in their order; those that were not begun by `until` are left out, except the first.

        Args:
            until: a moment, as time.perf_counter.

        Raises:
            OSError: the image store fails, and not one image.
        """
        decode = partial(self._decode, first=claims[0], until=until)
        parts = [claims[at : at + self._size] for at in range(0, len(claims), self._size)]
        if self._decoders is None:
            return map(decode, parts)
        return _map_ahead(self._decoders, decode, parts, self._ahead)

    def _decode(self, claims: Sequence[Claim], first: Claim, until: float) -> Chunk:
        card = self._card
        chunk = Chunk(np.empty((len(claims), card.height_px, card.width_px, card.channels), np.float32))
        for claim, data in zip(claims, self._read_all(claims), strict=True):
            if time.perf_counter() > until and claim is not first:
                break
            if isinstance(data, OSError):
                self._images.require_readable()  # else the fault is the store's, and every image would share it
                log.error("job failed", job=claim.id, code=ImageMissing.code, exc_info=data)
                chunk.faults.append(failed(claim, ImageMissing()))
                continue
            try:
                with open_image(io.BytesIO(data)) as image:
                    size_px = image.size  # decoding may make it smaller
                    pixels = pixels_for_prediction(image, card)
                scale_pixels(pixels, card, chunk.inputs[len(chunk.decoded)])
                hints = image_hints(pixels, size_px, card)
            except Exception as error:  # whatever a decoder raises, it is this image's fault
                log.warning("job failed", job=claim.id, code=ImageUndecodable.code, exc_info=error)
                chunk.faults.append(failed(claim, ImageUndecodable()))
            else:
                chunk.decoded.append(Decoded(claim, time.perf_counter(), hints))
        chunk.inputs = chunk.inputs[: len(chunk.decoded)]
        return chunk

    def _read_all(self, claims: Sequence[Claim]) -> Iterable[bytes | OSError]:
        return map(self._read, claims) if self._readers is None else self._readers.map(self._read, claims)

    def _read(self, claim: Claim) -> bytes | OSError:
        try:
            with self._images.open(claim.id) as file:
                return file.read()
        except OSError as error:
            return error


def failed(claim: Claim, error: ImageMissing | ImageUndecodable | ModelFault) -> Outcome:
    """The end of a job whose image, or whose answer, is at fault."""
    return Outcome(claim, error_code=error.code, error_detail=error.detail)


def _map_ahead(pool: Executor, work: Callable[[T], R], parts: Iterable[T], ahead: int) -> Iterator[R]:
    """`map` in threads, at most so many parts ahead of who takes the results."""
    coming: deque[Future[R]] = deque()
    try:
        for part in parts:
            coming.append(pool.submit(work, part))
            if len(coming) > ahead:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        for future in coming:
            future.cancel()
