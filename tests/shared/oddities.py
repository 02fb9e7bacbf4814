"""Images as few programs write them: those that are taken nevertheless, and those that are too odd to be cleaned."""

import struct
import zlib

from PIL import ImageCms

from tests.photos import encoded
from tests.shared.pictures import ACCEPTED, picture
from tests.shared.planted import NAME, chunk, segment


def _interlaced() -> bytes:
    """A greyscale PNG of 8 × 8 pixels in the seven passes of Adam7."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    lines = b"".join(
        b"\x00" + bytes(31 * y + x for x in range(x0, 8, dx)) for x0, y0, dx, dy in passes for y in range(y0, 8, dy)
    )
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    whole = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + whole


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# an orientation of 6/1, in a type that it must not have: the worker takes it for none
_FRACTION = b"Exif\x00\x00MM\x00*" + struct.pack(">IHHHIIIII", 8, 1, 0x0112, 5, 1, 26, 0, 6, 1)
PICTURES = ACCEPTED | {
    "RGB JPEG": encoded(picture(), "JPEG", keep_rgb=True),
    "JPEG with a profile": encoded(picture(), "JPEG", icc_profile=PROFILE),
    "large JPEG": encoded(picture(width_px=640, height_px=480), "JPEG", progressive=True),
    "PNG with a profile": encoded(picture(), "PNG", icc_profile=PROFILE, dpi=(72, 72)),
    "transparent PNG": encoded(picture(), "PNG", transparency=(0, 0, 0)),
    "JPEG turned by a fraction": encoded(picture(), "JPEG", exif=_FRACTION),
    "interlaced PNG": _interlaced(),
    "PNG with broken EXIF": encoded(picture(), "PNG", exif=b"Exif\x00\x00garbage, no TIFF in here"),
}
_JPEG, _PNG = PICTURES["baseline JPEG"], PICTURES["PNG"]
ODD: dict[str, bytes] = {
    "no file at all": b"",
    "text": b"no picture",
    "a restart marker in the header": _JPEG[:2] + b"\xff\xd0" + _JPEG[2:],
    "bytes between segments": _JPEG[:20] + NAME + _JPEG[20:],
    "a segment shorter than its length": _JPEG[:2] + b"\xff\xe1\x00\x01" + _JPEG[2:],
    "a segment longer than the file": _JPEG[:20] + b"\xff\xe1\xff\xff" + _JPEG[20:],
    "a marker that nobody knows": _JPEG[:20] + segment(0xF0, NAME) + _JPEG[20:],
    "a picture with no end": _JPEG[:-2],
    "a picture with no scan": _JPEG[: _JPEG.index(b"\xff\xda")] + b"\xff\xd9",
    "more empty segments than any camera writes": _JPEG[:2] + 50_001 * b"\xff\xe5\x00\x02" + _JPEG[2:],
    "more empty chunks than any camera writes": _PNG[:33] + 50_001 * chunk(b"prVt", b"") + _PNG[33:],
    "an unknown critical chunk": _PNG[:33] + chunk(b"CgBI", NAME) + _PNG[33:],
    "a chunk that is larger than it can be": _PNG[:33] + chunk(b"gAMA", bytes(4) + NAME) + _PNG[33:],
    "an end with something in it": _PNG[:-12] + chunk(b"IEND", NAME),
    "two headers": _PNG[:33] + _PNG[8:],
    "a chunk kind that is no name": _PNG[:33] + chunk(b"a\x00bc", NAME) + _PNG[33:],
    "no pixels": _PNG[:33] + chunk(b"IEND", b""),
    "a first frame that is a part": _PNG[:33] + chunk(b"fcTL", bytes(26)) + _PNG[33:],
    "text that no reader reads": _PNG[:33] + chunk(b"zTXt", b"k\x00\x07" + NAME) + _PNG[33:],
    "the data of a second frame before the first": _PNG[:33] + chunk(b"fdAT", bytes(4) + _PNG[41:-16]) + _PNG[33:],
    "an end that is cut off": _PNG[:-2],
}
