"""What an image file says about a person goes; what the model sees of it stays, number by number."""

import contextlib
import io
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from shared.errors import ImageUndecodable, RequestError
from shared.imagefile import require_image
from shared.images.local import LocalImages
from shared.stripping import strip_metadata
from tests.photos import GOLDEN, encoded
from tests.shared.oddities import ODD, PICTURES, PROFILE
from tests.shared.pictures import ACCEPTED, animated_png, exif, multi_picture, picture
from tests.shared.planted import LATITUDE_BYTES, NAME, chunk, personal_exif, planted, segment, xmp
from tests.worker.bench import card
from worker.preprocessing import preprocess_image_for_prediction

_MAX_PIXELS = 64_000_000
_EXAMPLES = Path(__file__).resolve().parents[2] / "api" / "static" / "examples"
_CARDS = [
    card(width_px=12, height_px=8, **changes)
    for changes in ({"exif": "apply"}, {"exif": "ignore"}, {"exif": "apply", "interpolation": "nearest"})
]


_PHOTOS = {path.name: path.read_bytes() for folder in (GOLDEN, _EXAMPLES) for path in sorted(folder.glob("*.jpg"))}
_LIKE_JPEG = [what for what, data in PICTURES.items() if data.startswith(b"\xff\xd8")]


def _stripped(folder: Path, data: bytes) -> bytes:
    path = folder / "upload"
    path.write_bytes(data)
    require_image(path, _MAX_PIXELS)
    strip_metadata(path)
    return path.read_bytes()


def _arrays(data: bytes) -> list[bytes]:
    found = []
    for one in _CARDS:
        with Image.open(io.BytesIO(data)) as image:
            found.append(preprocess_image_for_prediction(image, one).tobytes())
    return found


def _personal(data: bytes) -> list[object]:
    """What of the planted remains."""
    found: list[object] = [what for what in (NAME, *LATITUDE_BYTES) if what in data]
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        found += {"comment", "xmp", "photoshop", "flashpix", "mp", "Author", "Comment"} & set(image.info)
        return found + [tag for tag in image.getexif() if tag != ExifTags.Base.Orientation]


@pytest.mark.parametrize("what", [*PICTURES, *_PHOTOS])
def test_nothing_personal_remains_and_the_model_sees_the_same(what: str, tmp_path: Path) -> None:
    plain = (PICTURES | _PHOTOS)[what]
    for data in (plain, planted(plain), planted(plain, orientation=8)):
        before = _arrays(data)
        stripped = _stripped(tmp_path, data)
        assert _personal(stripped) == []
        assert _arrays(stripped) == before
        assert _stripped(tmp_path, stripped) == stripped
    assert _personal(planted(plain)) != []


@pytest.mark.parametrize("value", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("told_by", ["EXIF", "XMP"])
def test_a_turned_photo_stays_turned(value: int, kind: str, told_by: str, tmp_path: Path) -> None:
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp(value))
    by_xmp = {"xmp": xmp(value)} if kind == "JPEG" else {"pnginfo": text}
    data = encoded(picture(), kind, **({"exif": exif(value)} if told_by == "EXIF" else by_xmp))
    before = _arrays(data)
    assert (before[0] != before[1]) is (value in range(2, 9))
    assert _arrays(_stripped(tmp_path, data)) == before


def test_an_orientation_behind_the_pixels_counts(tmp_path: Path) -> None:
    upright = encoded(picture(), "PNG", exif=exif(1))
    for plain, turned in ((ACCEPTED["PNG"], True), (upright, True), (animated_png(), False)):
        data = plain[:-12] + chunk(b"eXIf", personal_exif(6)[6:]) + plain[-12:]
        before = _arrays(data)
        assert (before[0] != before[1]) is turned
        stripped = _stripped(tmp_path, data)
        assert _arrays(stripped) == before
        assert _personal(stripped) == []


def test_only_the_first_picture_remains(tmp_path: Path) -> None:
    for data, kind in ((multi_picture(), "MPO"), (animated_png(), "PNG")):
        with Image.open(io.BytesIO(data)) as image:
            assert (image.format, image.n_frames) == (kind, 2)  # type: ignore[attr-defined]
        stripped = _stripped(tmp_path, data)
        with Image.open(io.BytesIO(stripped)) as image:
            assert (image.format, getattr(image, "n_frames", 1)) == ("JPEG" if kind == "MPO" else "PNG", 1)
        assert _arrays(stripped) == _arrays(data)


def test_coded_pixels_and_the_colour_profile_are_copied_byte_for_byte(tmp_path: Path) -> None:
    for what in ("JPEG with a profile", "PNG with a profile"):
        data = PICTURES[what]
        stripped = _stripped(tmp_path, planted(data))
        coded = data[data.index(b"\xff\xda") :] if what in _LIKE_JPEG else data[data.index(b"IDAT") - 4 :]
        assert stripped.endswith(coded)
        with Image.open(io.BytesIO(stripped)) as image:
            assert image.info["icc_profile"] == PROFILE
    with Image.open(io.BytesIO(_stripped(tmp_path, PICTURES["transparent PNG"]))) as image:
        assert image.info["transparency"] == (0, 0, 0)


def test_a_thumbnail_of_another_picture_goes(tmp_path: Path) -> None:
    data = PICTURES["baseline JPEG"]
    assert data[6:11] == b"JFIF\x00"
    with_thumbnail = data[:2] + segment(0xE0, data[6:18] + b"\x02\x01" + b"abcdef") + data[20:]
    assert _stripped(tmp_path, with_thumbnail) == data
    adobe = PICTURES["CMYK JPEG"]
    at = adobe.index(b"\xff\xee")
    longer = adobe[:at] + segment(0xEE, adobe[at + 4 : at + 16] + NAME) + adobe[at + 16 :]
    assert _stripped(tmp_path, longer) == adobe


def test_an_upload_on_its_way_into_the_store_is_stripped_there(tmp_path: Path) -> None:
    store = LocalImages(tmp_path)
    store.prepare()
    incoming = store.receive("01935000-0000-7000-8000-000000000000")
    data = planted(PICTURES["large JPEG"], orientation=6)
    incoming.append(data)
    incoming.keep(strip_metadata)
    incoming.close()
    with store.open("01935000-0000-7000-8000-000000000000") as file:
        stored = file.read()
    assert _personal(stored) == []
    assert _arrays(stored) == _arrays(data)


def test_whoever_holds_the_file_open_goes_on_with_what_remains(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    with path.open("w+b") as held:
        held.write(planted(PICTURES["large JPEG"]))
        held.flush()
        strip_metadata(path)
        held.seek(0)
        assert held.read() == path.read_bytes()
        assert held.tell() < len(planted(PICTURES["large JPEG"]))


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_what_is_oddly_made_is_refused_and_left_as_it_is(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(data)
    with pytest.raises(ImageUndecodable):
        strip_metadata(path)
    assert path.read_bytes() == data


@given(
    whole=st.sampled_from(sorted(PICTURES)),
    spots=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=8)), max_size=4),
    orientation=st.integers(0, 9),
    sudden=st.booleans(),
)
@settings(max_examples=300)
def test_damage_leaves_nothing_personal_and_changes_no_prediction(
    whole: str, spots: list[tuple[float, bytes]], orientation: int, sudden: bool, tmp_path: Path
) -> None:
    data = bytearray(planted(PICTURES[whole], orientation))
    reach = min(len(data), 1200) if sudden else len(data)  # headers are where structure is
    for at, bytes_ in spots:
        position = int(at * reach)
        data[position : position + len(bytes_)] = bytes_
    with warnings.catch_warnings(), contextlib.suppress(RequestError):  # anything else fails the test
        warnings.simplefilter("ignore")
        stripped = _stripped(tmp_path, bytes(data))
        try:
            before = _arrays(bytes(data))
        except Exception:
            return  # no reader makes a picture of it
        assert [what for what in (NAME, *LATITUDE_BYTES) if what in stripped] == []
        assert _arrays(stripped) == before


def test_a_large_file_is_in_memory_once_at_most(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    pixels = np.random.default_rng(1).integers(0, 255, (2000, 2000, 3), np.uint8)
    for kind in ("JPEG", "PNG"):
        path.write_bytes(planted(encoded(Image.fromarray(pixels), kind, quality=95)))
        size_bytes = path.stat().st_size
        assert size_bytes > 3_000_000
        tracemalloc.start()
        strip_metadata(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < size_bytes + 1_000_000
