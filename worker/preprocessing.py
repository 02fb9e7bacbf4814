"""How an image becomes an array: exactly what the model's card says, nothing else."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from shared.cards import Card

Float32Array = npt.NDArray[np.float32]

_FILTERS: Final = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# keras.applications.imagenet_utils.preprocess_input, modes "torch" and "caffe"
_IMAGENET_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_IMAGENET_DEVIATION: Final = np.array([0.229, 0.224, 0.225], np.float32)
_CAFFE_MEAN_RGB: Final = np.array([123.68, 116.779, 103.939], np.float32)
_TRANSPOSED: Final = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_ORIENTATION: Final = 0x0112
_JPEG: Final = ("JPEG", "MPO")  # MPO: a phone's multi-picture JPEG
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def preprocess_image_for_prediction(image: Image.Image, card: Card, out: Float32Array | None = None) -> Float32Array:
    """The model's input for one opened image; decodes it, at reduced size where that changes nothing visible.

    Args:
        image: as `Image.open` returns it, not yet loaded; of an animation the first frame counts.
        card: the model's contract.
        out: where to put the result, such as a row of a batch.

    Returns:
        float32, shape (height_px, width_px, channels), colour order and scale as the card says.

    Raises:
        OSError, SyntaxError, ValueError: the image is damaged.
    """
    if image.format not in _JPEG:
        image.load()  # a PNG decodes when its EXIF is asked for, and damage must not pass for missing EXIF
    orientation = _orientation(image) if card.exif == "apply" else 1
    _draft(image, card, turned=orientation in _TRANSPOSED)
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    image, mode = _eight_bit(image), "L" if card.channels == 1 else "RGB"
    if image.mode != mode:  # convert() copies even what is right already
        image = image.convert(mode)
    resized = image.resize((card.width_px, card.height_px), _FILTERS[card.interpolation])
    pixels = np.asarray(resized).reshape(card.height_px, card.width_px, card.channels)
    if out is None:
        out = np.empty(pixels.shape, np.float32)
    _scale(pixels, card.scale, out[..., ::-1] if card.color_order == "BGR" else out)
    return out


def _orientation(image: Image.Image) -> int:
    """How the camera was held, as EXIF numbers it; 1 when that cannot be read: the picture may be fine."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow's EXIF reader raises whatever a broken tag makes it raise
        return 1
    return value if isinstance(value, int) else 1


def _draft(image: Image.Image, card: Card, *, turned: bool) -> None:
    """Lets the JPEG decoder halve the image while at least twice the target size remains.

    A filter that averages cannot tell the difference; `nearest` picks single pixels and gets them all.
    """
    if card.interpolation == "nearest" or image.format not in _JPEG:
        return
    width_px, height_px = (card.height_px, card.width_px) if turned else (card.width_px, card.height_px)
    image.draft(None, (2 * width_px, 2 * height_px))


def _eight_bit(image: Image.Image) -> Image.Image:
    """The same picture with 8 bits a channel; Pillow's own conversion clips 16-bit values to white."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L"):
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")  # the same colours; a direct conversion to RGB warns
    if image.mode == "F":
        raise ValueError("floating-point pixels have no defined range")
    return image


def _scale(pixels: npt.NDArray[np.uint8], scale: str, out: Float32Array) -> None:
    match scale:
        case "none":
            out[...] = pixels
        case "1/255":
            np.divide(pixels, np.float32(255), out=out)
        case "-1..1":
            np.divide(pixels, np.float32(127.5), out=out)
            out -= np.float32(1)
        case "imagenet":
            np.divide(pixels, np.float32(255), out=out)
            out -= _IMAGENET_MEAN
            out /= _IMAGENET_DEVIATION
        case "caffe":
            np.subtract(pixels, _CAFFE_MEAN_RGB, out=out)
        case _:
            raise AssertionError(f"the card's check lets no scale {scale!r} through")
