"""How an image becomes an array: exactly what the model's card says, nothing else."""

from typing import Final

import numpy as np
from PIL import Image

from shared.cards import Card
from worker.jpeg import decode_as_tensorflow
from worker.resizing import Float32Array, Pixels, needs_every_pixel, resize_for_model
from worker.scaling import scale_pixels

__all__ = ["Float32Array", "pixels_for_prediction", "preprocess_image_for_prediction"]

# measured on two photos enlarged to 12 MP, with noise, to 180 px: no pixel moves by more than 1 of 255 (0.13 to 0.15 in
# the mean); with twice the target by 3 (0.23 to 0.27), in 14 to 29 % less time
_DRAFTED: Final = 4
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
    pixels = pixels_for_prediction(image, card)
    if out is None:
        out = np.empty(pixels.shape, np.float32)
    scale_pixels(pixels, card, out)
    return out


def pixels_for_prediction(image: Image.Image, card: Card) -> Pixels:
    """The same before it is scaled: RGB or grey, 0–255.

    Raises:
        OSError, SyntaxError, ValueError: the image is damaged.
    """
    if image.format not in _JPEG:
        image.load()  # a PNG decodes when its EXIF is asked for, and damage must not pass for missing EXIF
    orientation = _orientation(image) if card.exif == "apply" else 1
    if card.jpeg_decoder == "tensorflow" and image.format in _JPEG:
        image = decode_as_tensorflow(image, card.channels) or image
    _draft(image, card, turned=orientation in _TRANSPOSED)
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    image, mode = _eight_bit(image), "L" if card.channels == 1 else "RGB"
    if image.mode != mode:  # convert() copies even what is right already
        image = image.convert(mode)
    return resize_for_model(image, card)


def _orientation(image: Image.Image) -> int:
    """How the camera was held, as EXIF numbers it; 1 when that cannot be read: the picture may be fine."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Pillow's EXIF reader raises whatever a broken tag makes it raise
        return 1
    return value if isinstance(value, int) else 1


def _draft(image: Image.Image, card: Card, *, turned: bool) -> None:
    """Lets the JPEG decoder halve the image while at least four times the target size remains.

    A filter that averages can hardly tell the difference; one that picks single pixels gets them all.
    """
    if needs_every_pixel(card) or image.format not in _JPEG:
        return
    width_px, height_px = (card.height_px, card.width_px) if turned else (card.width_px, card.height_px)
    image.draft(None, (_DRAFTED * width_px, _DRAFTED * height_px))


def _eight_bit(image: Image.Image) -> Image.Image:
    """The same picture with 8 bits a channel; Pillow's own conversion clips 16-bit values to white."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L"):
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")  # the same colours; a direct conversion to RGB warns
    if image.mode == "F":
        raise ValueError("floating-point pixels have no defined range")
    return image
