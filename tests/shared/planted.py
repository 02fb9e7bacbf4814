"""A person's data, planted in every place of an image file that a camera or a program has for it."""

import struct
import zlib

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from tests.photos import encoded
from tests.shared.pictures import picture

NAME = b"Ana Quispe"
_LATITUDE = (IFDRational(40_961, 9_973), IFDRational(36_599, 1_009), IFDRational(50_021, 2_003))
LATITUDE_BYTES = struct.pack(">II", 40_961, 9_973), struct.pack("<II", 40_961, 9_973)


def personal_exif(orientation: int = 1) -> bytes:
    """EXIF with a name and a place."""
    entries = Image.Exif()
    entries[ExifTags.Base.Orientation] = orientation
    entries[ExifTags.Base.Artist] = NAME.decode()
    entries[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "S", ExifTags.GPS.GPSLatitude: _LATITUDE}
    return entries.tobytes()


def xmp(orientation: int) -> bytes:
    """XMP with a name."""
    return b'<x:xmpmeta tiff:Orientation="%d" dc:creator="%s"/>' % (orientation, NAME)


def segment(marker: int, body: bytes) -> bytes:
    """One segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def planted(data: bytes, orientation: int = 1) -> bytes:
    """The same picture with personal data in every place that the format has for it."""
    if data.startswith(b"\xff\xd8"):
        telling = [(0xE1, personal_exif(orientation)), (0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + xmp(3))]
        telling += [(0xE0, b"JFXX\x00\x13" + NAME), (0xE2, b"FPXR\x00" + NAME), (0xED, b"Photoshop 3.0\x00" + NAME)]
        telling += [(0xE5, NAME), (0xEB, b"JP\x00\x01" + NAME), (0xEF, NAME), (0xFE, b"by " + NAME)]
        segments = b"".join(segment(*one) for one in telling)
        scans_end = data.rindex(b"\xff\xda") if data.count(b"\xff\xda") > 3 else 2  # between a progressive's scans
        late = segments + (segment(0xE2, b"ICC_PROFILE\x00\x01\x01" + NAME) if scans_end > 2 else b"")
        data = data[:2] + segments + data[2:scans_end] + b"\xff" + late + data[scans_end:]
        return data + encoded(picture(), "JPEG", exif=personal_exif(), comment=NAME)
    chunks = [(b"eXIf", personal_exif(orientation)[6:]), (b"tEXt", b"Author\x00" + NAME), (b"prVt", NAME)]
    chunks += [(b"zTXt", b"Comment\x00\x00" + zlib.compress(NAME)), (b"tIME", b"\x07\xea\x0b\x16\x08\x00\x00")]
    chunks += [(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + xmp(3))]
    telling_chunks = b"".join(chunk(*one) for one in chunks)
    return data[:33] + telling_chunks + data[33:-12] + telling_chunks + data[-12:] + NAME
