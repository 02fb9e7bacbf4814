"""Image files of every kind that is taken, and of every kind that is not."""

import struct
import zlib

from PIL import Image

from tests.photos import encoded, jpeg

WIDTH_PX, HEIGHT_PX = 64, 48


def picture(mode: str = "RGB", width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX) -> Image.Image:
    """A smooth picture with something in it."""
    grey = Image.linear_gradient("L").resize((width_px, height_px))
    other = Image.radial_gradient("L").resize((width_px, height_px))
    return Image.merge("RGB", (grey, other, grey.transpose(Image.Transpose.FLIP_TOP_BOTTOM))).convert(mode)


def exif(orientation: int = 6) -> bytes:
    """EXIF that says how the camera was held."""
    entries = Image.Exif()
    entries[0x0112] = orientation
    return entries.tobytes()


def with_thumbnail() -> tuple[bytes, int]:
    """A JPEG whose EXIF holds a whole thumbnail, with an end marker of its own; and where the EXIF ends."""
    thumbnail = encoded(picture(width_px=16, height_px=12), "JPEG")
    tiff = b"MM\x00*\x00\x00\x00\x08" + struct.pack(">HI", 0, 14)  # an empty IFD0, then IFD1 with the thumbnail
    first = struct.pack(">HHII", 0x0201, 4, 1, 44) + struct.pack(">HHII", 0x0202, 4, 1, len(thumbnail))
    tiff += struct.pack(">H", 2) + first + struct.pack(">I", 0)
    body = b"Exif\x00\x00" + tiff.ljust(44, b"\x00") + thumbnail
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    plain = encoded(picture(), "JPEG")
    return plain[:2] + segment + plain[2:], 2 + len(segment)


def multi_picture() -> bytes:
    """What some phones write: two JPEGs in one file."""
    return encoded(picture(), "MPO", save_all=True, append_images=[picture(width_px=32, height_px=24)])


def png_header(width_px: int, height_px: int) -> bytes:
    """A complete small PNG file whose header claims this size."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def jpeg_header(width_px: int, height_px: int) -> bytes:
    """A complete small JPEG file whose header claims this size."""
    plain = jpeg()
    at = plain.index(b"\xff\xc0") + 5
    return plain[:at] + struct.pack(">HH", height_px, width_px) + plain[at + 4 :]


def animated_png() -> bytes:
    """A PNG of two frames."""
    return encoded(picture(), "PNG", save_all=True, append_images=[picture().rotate(90)])


def with_broken_exif() -> bytes:
    """A whole JPEG whose EXIF block is garbage."""
    return encoded(picture(), "JPEG", exif=b"Exif\x00\x00garbage, no TIFF in here")


ACCEPTED: dict[str, bytes] = {
    "baseline JPEG": encoded(picture(), "JPEG"),
    "progressive JPEG": encoded(picture(), "JPEG", progressive=True),
    "greyscale JPEG": encoded(picture("L"), "JPEG"),
    "CMYK JPEG": encoded(picture("CMYK"), "JPEG"),
    "JPEG turned by EXIF": encoded(picture(), "JPEG", exif=exif()),
    "JPEG with a thumbnail": with_thumbnail()[0],
    "JPEG with restart markers": encoded(picture(), "JPEG", restart_marker_rows=1),
    "JPEG with trailing garbage": encoded(picture(), "JPEG") + b"\x00camera maker's data" * 9,
    "JPEG with broken EXIF": with_broken_exif(),
    "multi-picture JPEG": multi_picture(),
    "PNG": encoded(picture(), "PNG"),
    "PNG with 16 bits": encoded(picture("L").convert("I").point(lambda value: value * 256).convert("I;16"), "PNG"),
    "PNG with a palette": encoded(picture("P"), "PNG"),
    "PNG with a transparent palette": encoded(picture("P"), "PNG", transparency=bytes(range(256))),
    "PNG with alpha": encoded(picture("RGBA"), "PNG"),
    "greyscale PNG with alpha": encoded(picture("LA"), "PNG"),
    "PNG of one bit": encoded(picture("1"), "PNG"),
    "interlaced look-alike": encoded(picture("L"), "PNG", optimize=True),
    "animated PNG": animated_png(),
    "one pixel": encoded(picture(width_px=1, height_px=1), "PNG"),
}

_HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"
WRONG_TYPE: dict[str, tuple[bytes, str]] = {
    "text called .jpg": (b"this is no photo\n" * 20, "neither a PNG nor a JPEG"),
    "GIF": (encoded(picture("P"), "GIF"), "GIF"),
    "WebP": (encoded(picture(), "WEBP"), "WebP"),
    "BMP": (encoded(picture(), "BMP"), "BMP"),
    "TIFF": (encoded(picture(), "TIFF"), "TIFF"),
    "HEIC": (_HEIC, "HEIC"),
    "AVIF": (_HEIC.replace(b"heic", b"avif"), "AVIF"),
    "PDF": (encoded(picture(), "PDF"), "PDF"),
    "a single byte": (b"\xff", "neither"),
    "ZIP": (b"PK\x03\x04" + bytes(60), "neither"),
    "half a magic number": (b"\x89PNG", "neither"),
}
