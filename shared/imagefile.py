"""Whether an uploaded file is an image that may be decoded: told from its header and its end, undecoded."""

import io
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from shared.errors import ImageTooManyPixels, ImageTypeRefused, ImageUndecodable

_FORMATS = ("PNG", "JPEG")  # Pillow turns a phone's multi-picture JPEG into its MPO by itself

_SCANS_MAX = 100  # encoders write about ten; each one makes the decoder pass over the whole picture again
_PARTS_MAX = 50_000  # segments or chunks: a large PNG in chunks of 8 kB has thousands, and each costs Pillow time
_FILL_MAX = 1000  # a marker may be preceded by any number of them, and by none in practice
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_JPEG_MAGIC = b"\xff\xd8\xff"
_KNOWN_OTHERS = (
    (0, b"GIF8", "This is a GIF"),
    (0, b"RIFF", "This is a WebP image"),
    (0, b"%PDF", "This is a PDF"),
    (0, b"BM", "This is a BMP image"),
    (0, b"II*\x00", "This is a TIFF image"),
    (0, b"MM\x00*", "This is a TIFF image"),
    (4, b"ftypavif", "This is an AVIF image"),
    (4, b"ftyp", "This is a HEIC photo (on an iPhone choose Settings, Camera, Formats, Most Compatible)"),
)


def require_image(file: Path | bytes, max_pixels: int) -> None:
    """Passes a PNG or JPEG whose header can be read, whose end is there and whose size is allowed.

    What only decoding can tell (damage in the middle) is found by the worker, as the same error.

    Raises:
        ImageTypeRefused: another kind of file.
        ImageUndecodable: empty, cut off, or a broken header.
        ImageTooManyPixels: more than `max_pixels` as the header says; nothing was decoded.
    """
    # before Pillow has a look: it keeps every segment that it meets, and steps through fill bytes one by one
    with _read(file) as data:
        whole = _complete(data)
    try:
        with open_image(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
            width_px, height_px = image.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ImageUndecodable from error
    if width_px * height_px > max_pixels:
        raise ImageTooManyPixels(
            f"The image has {width_px} × {height_px} pixels; at most {max_pixels:,} pixels in all are taken."
        )
    if not whole:
        raise ImageUndecodable("The image is incomplete or oddly made; upload it again from the original.")


@contextmanager
def _read(file: Path | bytes) -> Iterator[bytes | mmap.mmap]:
    if isinstance(file, bytes):
        yield file
    elif not file.stat().st_size:
        yield b""
    else:
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def _complete(data: bytes | mmap.mmap) -> bool:
    head = data[:16]
    if not head:
        raise ImageUndecodable("The file is empty.")
    if head.startswith(_PNG_MAGIC):
        return _png_complete(data)
    if head.startswith(_JPEG_MAGIC):
        return _jpeg_complete(data)
    raise ImageTypeRefused(_what_it_is(head))


def open_image(file: Path | BinaryIO) -> Image.Image:
    """A PNG or JPEG with its header read and nothing decoded.

    Raises:
        OSError, SyntaxError, ValueError: no such image.
    """
    # it would warn or raise on its own terms; `require_image` has the check that counts
    Image.MAX_IMAGE_PIXELS = None
    return Image.open(file, formats=_FORMATS)


def _what_it_is(head: bytes) -> str:
    for offset, magic, what in _KNOWN_OTHERS:
        if head[offset:].startswith(magic):
            return f"{what}; only PNG and JPEG images are taken."
    return "This is neither a PNG nor a JPEG image, whatever its name says; only these are taken."


def _odd() -> ImageUndecodable:
    return ImageUndecodable("The image is made of too many pieces; save it anew with a photo program.")


def _png_complete(data: bytes | mmap.mmap) -> bool:
    """Whether the chunks reach the end marker (PNG specification, 5.3)."""
    position = len(_PNG_MAGIC)
    for _ in range(_PARTS_MAX):
        if position + 12 > len(data):
            return False
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length
        if data[position + 4 : position + 8] == b"IEND":
            return end <= len(data)
        position = end
    raise _odd()


def _jpeg_complete(data: bytes | mmap.mmap) -> bool:
    """Whether the first picture's end marker is there (ITU T.81, B.1.1), after no more scans than are decoded.

    Segments are stepped over by their length, for a thumbnail or a comment in them may hold an end marker of
    its own; in a scan's data a 0xFF byte that begins no marker is followed by 0x00 or a restart number.
    """
    position, scans, fill = 2, 0, 0
    for _ in range(_PARTS_MAX):
        if position + 4 > len(data) and data[position : position + 2] != b"\xff\xd9":
            return False
        if data[position] != 0xFF:
            return False
        marker = data[position + 1]
        if marker == 0xD9:
            return scans > 0
        if marker == 0xFF:
            position, fill = position + 1, fill + 1
            if fill > _FILL_MAX:
                break
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xDA:
            scans += 1
            found = _MARKER.search(data, position)
            if found is None or scans > _SCANS_MAX:
                return False
            position = found.start()
    raise _odd()
