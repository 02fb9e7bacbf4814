"""Which uploads are images that may be decoded, told without decoding them."""

import contextlib
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ImageTooManyPixels, ImageTypeRefused, ImageUndecodable, RequestError
from shared.imagefile import require_image
from tests.photos import encoded
from tests.shared.pictures import (
    ACCEPTED,
    HEIGHT_PX,
    WIDTH_PX,
    WRONG_TYPE,
    jpeg_header,
    picture,
    png_header,
    with_thumbnail,
)

_MAX_PIXELS = 64_000_000
_JPEG = encoded(picture(), "JPEG")
_PROGRESSIVE = encoded(picture(), "JPEG", progressive=True)
_PNG = encoded(picture(), "PNG")


def _check(folder: Path, data: bytes, max_pixels: int = _MAX_PIXELS) -> None:
    """Looks at it as at a small upload, in memory, and as at a large one, on the disk: both must say the same."""
    path = folder / "upload"
    path.write_bytes(data)
    try:
        require_image(data, max_pixels)
    except RequestError as refusal:
        with pytest.raises(type(refusal), match=re.escape(str(refusal))):
            require_image(path, max_pixels)
        raise
    require_image(path, max_pixels)


@pytest.mark.parametrize("data", ACCEPTED.values(), ids=ACCEPTED)
def test_a_whole_png_or_jpeg_is_taken(data: bytes, tmp_path: Path) -> None:
    _check(tmp_path, data)


@pytest.mark.parametrize(("data", "what"), WRONG_TYPE.values(), ids=WRONG_TYPE)
def test_another_kind_of_file_is_refused_by_what_it_is(data: bytes, what: str, tmp_path: Path) -> None:
    with pytest.raises(ImageTypeRefused, match=what):
        _check(tmp_path, data)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageUndecodable, match="empty"):
        _check(tmp_path, b"")


@pytest.mark.parametrize("data", [_JPEG, _PROGRESSIVE, _PNG], ids=["JPEG", "progressive", "PNG"])
def test_a_file_cut_off_anywhere_is_refused(data: bytes, tmp_path: Path) -> None:
    cuts = {*range(16, len(data), 7), *range(len(data) - 16, len(data))}
    taken = []
    for cut in sorted(cuts):
        try:
            _check(tmp_path, data[:cut])
        except ImageUndecodable:
            continue
        taken.append(cut)
    assert taken == []


def test_a_whole_thumbnail_does_not_make_a_cut_photo_whole(tmp_path: Path) -> None:
    data, exif_end = with_thumbnail()
    assert data[:exif_end].endswith(b"\xff\xd9")
    for cut in (exif_end, exif_end + 1, exif_end + 100, len(data) // 2 + exif_end // 2, len(data) - 2, len(data) - 1):
        with pytest.raises(ImageUndecodable):
            _check(tmp_path, data[:cut])


@pytest.mark.parametrize("header", [png_header, jpeg_header])
def test_a_huge_picture_is_refused_from_its_header_alone(header: object, tmp_path: Path) -> None:
    assert callable(header)
    _check(tmp_path, header(WIDTH_PX, HEIGHT_PX))
    data = header(20_000, 20_000)
    tracemalloc.start()
    with pytest.raises(ImageTooManyPixels, match="20000 × 20000"):
        _check(tmp_path, data)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 5_000_000


def test_the_limit_itself_is_allowed_and_one_more_is_not(tmp_path: Path) -> None:
    _check(tmp_path, _PNG, WIDTH_PX * HEIGHT_PX)
    with pytest.raises(ImageTooManyPixels, match=f"{WIDTH_PX} × {HEIGHT_PX}"):
        _check(tmp_path, _PNG, WIDTH_PX * HEIGHT_PX - 1)


def test_a_limit_above_pillows_own_is_honoured(tmp_path: Path) -> None:
    _check(tmp_path, png_header(20_000, 20_000), 400_000_000)


def test_a_header_that_lies_is_an_image_that_cannot_be_decoded(tmp_path: Path) -> None:
    for data in (_PNG[:8] + bytes(40), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\xff\xd8\xff\xd9" + bytes(20)):
        with pytest.raises(ImageUndecodable):
            _check(tmp_path, data)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow says what is odd about a picture; that stops no upload
@given(
    whole=st.sampled_from(sorted(ACCEPTED)),
    at=st.floats(0, 1, exclude_max=True),
    bytes_=st.binary(max_size=8),
    cut=st.floats(0.01, 1),
)
@settings(max_examples=150)
def test_no_damage_raises_anything_but_a_refusal(
    whole: str, at: float, bytes_: bytes, cut: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray(ACCEPTED[whole])
    position = int(at * len(data))
    data[position : position + len(bytes_)] = bytes_
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data[: max(1, int(cut * len(data)))])
    with contextlib.suppress(RequestError):  # anything else fails the test
        require_image(path, _MAX_PIXELS)


def test_a_progressive_jpeg_of_more_scans_than_any_encoder_writes_is_refused(tmp_path: Path) -> None:
    start, end = _PROGRESSIVE.rindex(b"\xff\xda"), _PROGRESSIVE.rindex(b"\xff\xd9")
    missing = 100 - _PROGRESSIVE.count(b"\xff\xda")
    assert 80 < missing < 99
    for more, taken in ((0, True), (missing, True), (missing + 1, False), (5000, False)):
        data = _PROGRESSIVE[:end] + more * _PROGRESSIVE[start:end] + _PROGRESSIVE[end:]
        with contextlib.nullcontext() if taken else pytest.raises(ImageUndecodable):
            _check(tmp_path, data)


def test_an_end_marker_in_a_comment_ends_no_picture(tmp_path: Path) -> None:
    start, end = _PROGRESSIVE.rindex(b"\xff\xda"), _PROGRESSIVE.rindex(b"\xff\xd9")
    comment = b"\xff\xfe\x00\x04\xff\xd9"
    _check(tmp_path, _PROGRESSIVE[:end] + comment + _PROGRESSIVE[end:])
    for hidden in (comment, comment + 3000 * _PROGRESSIVE[start:end] + b"\xff\xd9"):
        with pytest.raises(ImageUndecodable):
            _check(tmp_path, _PROGRESSIVE[:end] + hidden)


@pytest.mark.parametrize(
    "data",
    [
        _JPEG[:2] + b"\xff\xe5\x00\x02" * 1_000_000 + _JPEG[2:],
        _JPEG[:2] + b"\xff" * 4_000_000 + _JPEG[2:],
        _PNG[:33] + b"\0\0\0\0teSt\xd2\x3a\x2c\x8a" * 300_000 + _PNG[33:],
    ],
    ids=["segments", "fill bytes", "chunks"],
)
def test_a_picture_in_a_million_pieces_is_refused_before_anything_walks_through_them(
    data: bytes, tmp_path: Path
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ImageUndecodable, match="pieces"):
            _check(tmp_path, data)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
