"""The array is what the card says, number by number."""

import io
import struct

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from tests.photos import encoded
from tests.shared.pictures import ACCEPTED, exif, picture
from tests.worker.bench import card
from worker.preprocessing import Float32Array, preprocess_image_for_prediction

Array = npt.NDArray[np.float64]

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
# row 2, red, of _WAVES at 8×4 px: tf.image.resize (with method="lanczos3" for lanczos), smart_resize of Keras and
# tf.image.resize_with_pad, of TensorFlow 2.21
TENSORFLOW = {
    ("nearest", "stretch"): [108, 182, 219, 0, 74, 111, 148, 222],
    ("nearest", "crop"): [108, 182, 219, 0, 74, 111, 148, 222],
    ("nearest", "pad"): [108, 182, 0, 74, 148, 222, 0, 0],
    ("bilinear", "stretch"): [103.56, 154.44, 205.31, 32.19, 83.06, 101.94, 152.81, 203.69],
    ("bilinear", "crop"): [80.81, 131.69, 182.56, 73.44, 124.31, 79.19, 130.06, 180.94],
    ("bilinear", "pad"): [112.04, 179.88, 23.71, 91.54, 127.38, 195.21, 0, 0],
    ("bicubic", "stretch"): [99.06, 160.78, 224.37, 3.46, 74.28, 99.52, 156.97, 218.69],
    ("bicubic", "crop"): [66.6, 137.77, 206.48, 52.18, 124.18, 65.14, 131.48, 202.65],
    ("bicubic", "pad"): [106.17, 198.89, 4.58, 81.87, 124.1, 211.58, 0, 0],
    ("lanczos", "stretch"): [87.93, 155.78, 233.35, -3.28, 79.18, 89.0, 152.53, 226.62],
    ("lanczos", "crop"): [45.38, 138.11, 228.64, 42.23, 130.8, 44.38, 129.4, 224.61],
    ("lanczos", "pad"): [93.43, 215.73, 5.32, 81.64, 112.07, 221.12, 0, 0],
}


def _waves(y: Array, x: Array, channel: Array) -> Array:
    return (x * 37 + y * 91 + channel * 53) % 256


_WAVES = encoded(Image.fromarray(np.fromfunction(_waves, (7, 11, 3)).astype(np.uint8)), "PNG")


# row 2, red and grey, of _WAVES as a JPEG: tf.io.decode_image of TensorFlow 2.21
_JPEG_OF_TENSORFLOW = {
    3: [203, 68, 41, 53, 85, 116, 178, 218, 86, 29, 69],
    1: [202, 74, 58, 78, 114, 138, 181, 214, 83, 36, 91],
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
    assert np.abs(_array(data, scale="none") - full).max() <= 2


@pytest.mark.parametrize(("interpolation", "fit"), TENSORFLOW)
def test_without_antialiasing_pixels_are_tensorflows(interpolation: str, fit: str) -> None:
    found = _array(_WAVES, scale="none", antialias=False, interpolation=interpolation, fit=fit)
    within = 0.25 if interpolation == "bicubic" else 0.01  # TensorFlow looks cubic weights up in a table
    assert np.allclose(found[2, :, 0], TENSORFLOW[interpolation, fit], atol=within)


def test_without_antialiasing_grey_is_as_color_and_a_jpeg_is_decoded_in_full() -> None:
    grey = encoded(picture(width_px=800, height_px=400).convert("L"), "JPEG")
    for interpolation in ("nearest", "bilinear"):
        changes = {"scale": "none", "antialias": False, "interpolation": interpolation}
        once = _array(grey, channels=1, **changes)
        assert np.allclose(_array(grey, **changes), once.repeat(3, axis=2), atol=1e-3)
        with Image.open(io.BytesIO(grey)) as image:
            decoded = encoded(image.convert("L"), "PNG")
        assert np.array_equal(_array(decoded, channels=1, **changes), once)


@pytest.mark.parametrize("channels", _JPEG_OF_TENSORFLOW)
def test_a_jpeg_is_decoded_as_tensorflow_does_where_the_card_says_so(channels: int) -> None:
    with Image.open(io.BytesIO(_WAVES)) as waves:
        data = encoded(waves, "JPEG", quality=75, subsampling=2)
    as_it_is = {"width_px": 11, "height_px": 7, "scale": "none", "interpolation": "nearest", "channels": channels}
    assert _array(data, **as_it_is, jpeg_decoder="tensorflow")[2, :, 0].tolist() == _JPEG_OF_TENSORFLOW[channels]
    assert _array(data, **as_it_is)[2, :, 0].tolist() != _JPEG_OF_TENSORFLOW[channels]


@pytest.mark.parametrize("what", [kind for kind in ACCEPTED if "JPEG" in kind])
def test_every_kind_of_jpeg_is_much_the_same_for_either_decoder(what: str) -> None:
    ours, theirs = (_array(ACCEPTED[what], jpeg_decoder=name) for name in ("pillow", "tensorflow"))
    assert np.abs(ours - theirs).max() < 0.05


def test_superfluous_bytes_change_no_pixel_of_a_jpeg() -> None:
    data = encoded(picture(width_px=64, height_px=64), "JPEG")
    odd = data[:-2] + bytes(9) + data[-2:]
    assert np.array_equal(_array(odd, jpeg_decoder="tensorflow"), _array(data, jpeg_decoder="tensorflow"))
    assert not np.array_equal(_array(odd, jpeg_decoder="tensorflow"), _array(odd))


def test_a_jpeg_that_breaks_off_is_damaged_for_either_decoder() -> None:
    data = encoded(picture(width_px=64, height_px=64), "JPEG")
    with pytest.raises((OSError, SyntaxError), match=r"(?i)truncated"):
        _array(data[: len(data) // 2], jpeg_decoder="tensorflow")


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_the_middle_is_cut_as_the_training_tools_do(interpolation: str) -> None:
    image = picture(width_px=301, height_px=100)
    method = Image.Resampling[interpolation.upper()]
    if interpolation in ("nearest", "bilinear"):  # keras.utils.load_img(keep_aspect_ratio=True): whole pixels
        expected = image.resize((8, 4), method, box=(50, 0, 250, 100))
    else:
        expected = ImageOps.fit(image, (8, 4), method)  # Teachable Machine's sample code
    found = _array(encoded(image, "PNG"), fit="crop", scale="none", interpolation=interpolation)
    assert np.array_equal(found, np.asarray(expected, np.float32))


@pytest.mark.parametrize("antialias", [True, False])
def test_padding_keeps_the_aspect_and_is_black_before_scaling(antialias: bool) -> None:
    white = encoded(Image.new("RGB", (50, 50), "white"), "PNG")
    found = _array(white, fit="pad", scale="-1..1", antialias=antialias)
    assert (found[:, 2:6] == 1).all()
    assert (found[:, [0, 1, 6, 7]] == -1).all()


def test_per_image_is_by_mean_and_deviation_of_the_whole_picture() -> None:
    found = _array(_WAVES, scale="per-image", interpolation="nearest")
    assert (found.mean(), found.std()) == pytest.approx((0, 1), abs=1e-5)
    assert (_array(_PLAIN, scale="per-image", channels=1) == 0).all()  # nothing deviates, and nothing is divided by 0


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_custom_mean_and_deviation_are_in_the_order_of_the_channels(order: str) -> None:
    found = _array(_PLAIN, scale="custom", color_order=order, mean=(10, 20, 30), deviation=(2.0, 4, 5))
    color = _RGB if order == "RGB" else _RGB[::-1]
    assert np.allclose(found, (color - [10, 20, 30]) / [2, 4, 5], atol=1e-5)


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
