"""What an image file says about a person, taken out of it; the coded picture is copied, never coded anew."""

import io
import mmap
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from PIL import Image

from shared.errors import ImageUndecodable
from shared.imagefile import open_image

_Parts = list[slice | bytes]  # of the file as it is, and what stands there instead

_PARTS_MAX: Final = 50_000  # encoders write 4 KB and more in each; one that is empty costs as much time and memory
_ORIENTATION: Final = 0x0112
_TURNED: Final = range(2, 9)

_ENTROPY_END: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_FILL: Final = re.compile(rb"\xff+(?=\xff)")  # before a marker there may be any number
_JPEG_DECODING: Final = frozenset(b"\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7\xc9\xca\xcb\xcc\xcd\xce\xcf\xda\xdb\xdd")
_JPEG_TELLING: Final = frozenset(range(0xE0, 0xF0)) | {0xDC, 0xFE}  # APPn, COM; DNL, which the decoder skips unread
_SOS: Final = 0xDA
_EOI: Final = b"\xff\xd9"

_PNG_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_ONE_BLACK_PIXEL: Final = zlib.compress(b"\x00\x00")
# critical chunks, and those that say what the numbers mean as colours; with the most bytes that one can need
_PNG_KEPT: Final = {
    b"IHDR": 13, b"PLTE": 768, b"IDAT": None, b"IEND": 0,
    b"tRNS": 256, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"iCCP": None, b"sBIT": 4, b"bKGD": 6, b"pHYs": 9,
}  # fmt: skip
_PNG_ORIENTING: Final = (b"eXIf", b"tEXt", b"zTXt", b"iTXt", b"acTL")  # acTL: Pillow reads an animation less far


def strip_metadata(path: Path) -> None:
    """Leaves of a PNG or JPEG what decoding needs, its colour profile and its orientation; the file stays the same one.

    Whoever holds the file open goes on with it: its bytes are replaced, not the file. Of several pictures in it, an
    animation's too, the first remains.

    Args:
        path: a file that `require_image` has passed.

    Raises:
        ImageUndecodable: made so oddly that something might remain unseen; the file is as it was.
        OSError: it could not be written; the file is of no use then.
    """
    with path.open("r+b") as file:
        if path.stat().st_size == 0:
            raise ImageUndecodable
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            stripped = _joined(data, _png_parts(data) if data[:8] == _PNG_MAGIC else _jpeg_parts(data, path))
        file.write(stripped)
        file.truncate()


def _joined(data: mmap.mmap, parts: _Parts) -> bytes:
    with memoryview(data) as view:  # a slice of the mmap itself would be one more copy
        return b"".join(view[part] if isinstance(part, slice) else part for part in parts)


def _refused() -> ImageUndecodable:
    return ImageUndecodable("The image is oddly made; save it anew with a photo program and upload that.")


def _orienting(file: Path | BinaryIO) -> bytes:
    """The EXIF block that says how the camera was held, as the worker reads it; nothing for an upright picture."""
    try:
        with open_image(file) as image:
            if image.format == "PNG":
                image.load()  # what stands behind the pixels counts, too
            value = _orientation(image)
    except Exception as error:  # Pillow's readers raise whatever a broken chunk makes them raise
        raise _refused() from error
    if value not in _TURNED:
        return b""
    exif = Image.Exif()
    exif[_ORIENTATION] = value
    return exif.tobytes()


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # as above; the worker takes the picture as upright then
        return 1
    return value if isinstance(value, int) else 1


def _jpeg_parts(data: mmap.mmap, path: Path) -> _Parts:
    kept = list(_jpeg_kept(data))  # first: this stops at too many segments, before Pillow collects them
    exif = _orienting(path)
    return [b"\xff\xd8", _segment(0xE1, exif) if exif else b"", *kept]


def _jpeg_kept(data: mmap.mmap) -> Iterator[slice | bytes]:
    """The segments up to the first picture's end marker; a phone's second picture, with its own EXIF, comes after."""
    position, in_scans, passed = 2, False, 0
    while data[position : position + 2] != _EOI or not in_scans:
        if fill := _FILL.match(data, position):
            position = fill.end()
        start, head = position, data[position : position + 4]
        if len(head) < 4 or head[0] != 0xFF:
            raise _refused()
        marker, length = head[1], int.from_bytes(head[2:], "big")
        position += 2 + length
        passed += 1
        if passed > _PARTS_MAX:
            raise _refused()
        if marker in _JPEG_TELLING:
            if not in_scans:  # colours are settled at the first scan
                yield from _jpeg_colours(data, marker, slice(start, position))
            continue
        if marker not in _JPEG_DECODING:
            raise _refused()
        if marker == _SOS:
            in_scans, end = True, _ENTROPY_END.search(data, position)
            if end is None:
                raise _refused()
            position = end.start()
        yield slice(start, position)
    yield _EOI


def _jpeg_colours(data: mmap.mmap, marker: int, segment: slice) -> _Parts:
    """Of an application segment what says how numbers become colours: JFIF, Adobe's transform, an ICC profile."""
    body, body_bytes = data[segment.start + 4 : segment.start + 18], segment.stop - segment.start - 4
    if marker == 0xE0 and body.startswith(b"JFIF\x00") and body_bytes >= 14:
        return [_segment(marker, body[:12] + b"\x00\x00")]  # 0 × 0: without its thumbnail
    if marker == 0xEE and body.startswith(b"Adobe") and body_bytes >= 12:
        return [_segment(marker, body[:12])]
    if marker == 0xE2 and body.startswith(b"ICC_PROFILE\x00"):
        return [segment]
    return []


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _png_parts(data: mmap.mmap) -> _Parts:
    chunks = list(_png_chunks(data))
    kinds = [kind for kind, _ in chunks]
    if kinds[0] != b"IHDR" or kinds.count(b"IHDR") > 1:
        raise _refused()
    exif = _orienting(io.BytesIO(_png_telling(data, chunks)))
    parts: _Parts = [_PNG_MAGIC]
    for kind, chunk in chunks:
        body_bytes = chunk.stop - chunk.start - 12
        if kind in _PNG_KEPT:
            most_bytes = _PNG_KEPT[kind]
            if most_bytes is not None and body_bytes > most_bytes:
                raise _refused()
            parts.append(chunk)
        elif kind[:1].isupper():  # critical: a reader that does not know it must not go on (PNG specification, 5.4)
            raise _refused()
        if kind == b"IHDR" and exif:
            parts.append(_chunk(b"eXIf", exif.removeprefix(b"Exif\x00\x00")))
    return parts


def _png_chunks(data: mmap.mmap) -> Iterator[tuple[bytes, slice]]:
    """Each chunk's kind and place, up to the end marker."""
    position, kind, passed = len(_PNG_MAGIC), b"", 0
    while kind != b"IEND":
        kind, length = data[position + 4 : position + 8], int.from_bytes(data[position : position + 4], "big")
        end, passed = position + 12 + length, passed + 1
        if len(kind) < 4 or not kind.isalpha() or end > len(data) or passed > _PARTS_MAX:
            raise _refused()
        yield kind, slice(position, end)
        position = end


def _png_telling(data: mmap.mmap, chunks: Iterable[tuple[bytes, slice]]) -> bytes:
    """A picture of one pixel with the same metadata: what Pillow reads there it would read here, decoding it all."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    full_size = data[16:24] + bytes(8)
    parts: list[bytes] = [_PNG_MAGIC, _chunk(b"IHDR", header)]
    pixel = _chunk(b"IDAT", _ONE_BLACK_PIXEL)
    for kind, place in chunks:
        chunk = data[place]
        if kind in _PNG_ORIENTING:
            parts.append(chunk)
        elif kind == b"IDAT":
            parts.append(pixel)
            pixel = b""
        elif kind == b"fcTL":
            if pixel and chunk[12:28] != full_size:  # the first frame would be a part of the picture that remains
                raise _refused()
            parts.append(_chunk(kind, chunk[8:12] + struct.pack(">4I", 1, 1, 0, 0) + chunk[28:-4]))
        elif kind == b"fdAT" and pixel:
            raise _refused()
    return b"".join(parts) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
