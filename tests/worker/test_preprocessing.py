"""The array is what the card says, number by number."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from tests.photos import encoded
from tests.shared.pictures import ACCEPTED, exif, picture
from tests.worker.bench import card
from worker.preprocessing import Float32Array, preprocess_image_for_prediction

_COLOR = (200, 100, 50)
_PLAIN = encoded(Image.new("RGB", (16, 8), _COLOR), "PNG")
_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_RGB = np.array(_COLOR, float)
SCALES = {
    "none": _RGB,
    "1/255": _RGB / 255,
    "-1..1": _RGB / 127.5 - 1,
    "imagenet": (_RGB / 255 - _MEAN) / _DEVIATION,
    "caffe": _RGB - [123.68, 116.779, 103.939],
}


def _array(data: bytes, **changes: object) -> Float32Array:
    with Image.open(io.BytesIO(data)) as image:
        return preprocess_image_for_prediction(image, card(**changes))


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("scale", SCALES)
def test_each_scale_and_color_order_is_its_formula(scale: str, order: str) -> None:
    found = _array(_PLAIN, scale=scale, color_order=order)
    expected = SCALES[scale] if order == "RGB" else SCALES[scale][::-1]
    assert np.allclose(found, np.broadcast_to(expected, (4, 8, 3)), atol=1e-4)


@pytest.mark.parametrize("what", ACCEPTED)
@pytest.mark.parametrize("changes", [{}, {"channels": 1}, {"color_order": "BGR"}], ids=["RGB", "grey", "BGR"])
def test_every_kind_of_image_becomes_an_array_of_one_kind(what: str, changes: dict[str, object]) -> None:
    found = _array(ACCEPTED[what], **changes)
    assert found.shape == (4, 8, changes.get("channels", 3))
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert 0 <= found.min() <= found.max() <= 1


def test_width_and_height_are_not_swapped() -> None:
    image = Image.new("RGB", (500, 720))
    image.paste((255, 255, 255), (0, 0, 500, 10))
    found = _array(encoded(image, "PNG"), width_px=500, height_px=720, interpolation="nearest")
    assert found.shape == (720, 500, 3)
    assert (found[:10] == 1).all()
    assert (found[10:] == 0).all()


def test_a_turned_photo_is_turned_back_only_if_the_card_says_so() -> None:
    upright = picture(width_px=400, height_px=800)
    lying = encoded(upright.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif(6), quality=95)
    size = {"width_px": 20, "height_px": 40}
    expected = _array(encoded(upright, "PNG"), **size)
    assert np.abs(_array(lying, **size, exif="apply") - expected).max() < 0.05
    assert np.abs(_array(lying, **size, exif="ignore") - expected).max() > 0.2


def test_nearest_picks_exact_pixels_of_the_full_decode() -> None:
    data = encoded(picture(width_px=800, height_px=400), "JPEG")
    with Image.open(io.BytesIO(data)) as image:
        exact = np.asarray(image.convert("RGB").resize((8, 4), Image.Resampling.NEAREST), np.float32)
    assert np.array_equal(_array(data, interpolation="nearest", scale="none"), exact)


@pytest.mark.parametrize("size_px", [(800, 400), (1201, 901), (17, 9)])
def test_a_scaled_decode_differs_by_little_from_the_full_one(size_px: tuple[int, int]) -> None:
    data = encoded(picture(width_px=size_px[0], height_px=size_px[1]), "JPEG", quality=92)
    with Image.open(io.BytesIO(data)) as image:
        full = np.asarray(image.convert("RGB").resize((8, 4), Image.Resampling.BILINEAR), np.float32)
    assert np.abs(_array(data, scale="none") - full).max() <= 3


def test_sixteen_bits_keep_their_brightness() -> None:
    grey = Image.fromarray(np.full((8, 16), 32_768, np.uint16))
    assert np.allclose(_array(encoded(grey, "PNG"), scale="none"), 128, atol=1)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of broken EXIF and goes on
@pytest.mark.parametrize(
    "entry",
    [
        struct.pack(">HHI4s", 0x0112, 2, 4, b"six\x00"),
        struct.pack(">HHII", 0x0112, 5, 1, 9999),
        struct.pack(">HHIHH", 0x0112, 3, 1, 99, 0),
        b"cut",
    ],
    ids=["a word", "beyond the end", "an unknown number", "cut off"],
)
def test_a_photo_whose_orientation_is_broken_is_taken_as_it_lies(entry: bytes) -> None:
    plain = picture(width_px=400, height_px=200)
    broken = b"Exif\x00\x00MM\x00*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    found = _array(encoded(plain, "JPEG", exif=broken), exif="apply")
    assert np.array_equal(found, _array(encoded(plain, "JPEG"), exif="apply"))


@pytest.mark.parametrize("exif_says", ["apply", "ignore"])
def test_a_damaged_png_is_not_taken_for_one_with_broken_exif(exif_says: str) -> None:
    damaged = bytearray(ACCEPTED["PNG"])
    damaged[60:80] = bytes(20)
    with pytest.raises((OSError, SyntaxError, ValueError)):
        _array(bytes(damaged), exif=exif_says)
