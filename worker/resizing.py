"""How a picture gets the model's size: what of it, by which filter, and whether a large one is averaged or sampled."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from shared.cards import Card

Float32Array = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8] | Float32Array  # 0–255, shape (height_px, width_px, channels)
_Box = tuple[int, int, int, int]  # left, top, right, bottom
_Kernel = tuple[int, Callable[[Float32Array], Float32Array]]  # reach to each side, weight at a distance

_FILTERS: Final = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_BAND_PX: Final = 16_384  # of the result made at once: what it takes stays in the processor's cache


def needs_every_pixel(card: Card) -> bool:
    """Whether single pixels of a large picture decide, so that it cannot be decoded at a smaller size."""
    return card.interpolation == "nearest" or not card.antialias


def resize_for_model(image: Image.Image, card: Card) -> Pixels:
    """The picture at the card's size.

    With antialias by Pillow, which rounds to 8 bits; without as TensorFlow does it, which keeps the fractions.
    """
    size = card.width_px, card.height_px
    if card.antialias:
        return _shaped(_resized_by_pillow(image, size, card), card)
    box, inner, (left, top) = (0, 0, *image.size), size, (0, 0)
    if card.fit == "crop":
        box = _middle(image.size, size)
    elif card.fit == "pad":
        inner, (left, top) = _inside(image.size, size)
    pixels = _interpolated(image, box, inner, card)
    if inner == size:
        return pixels
    padded = np.zeros((card.height_px, card.width_px, card.channels), np.float32)
    padded[top : top + inner[1], left : left + inner[0]] = pixels
    return padded


def _resized_by_pillow(image: Image.Image, size: tuple[int, int], card: Card) -> Image.Image:
    method = _FILTERS[card.interpolation]
    if card.fit == "crop" and card.interpolation in ("nearest", "bilinear"):
        return image.resize(size, method, _middle(image.size, size))  # keras.utils.load_img(keep_aspect_ratio=True)
    if card.fit == "crop":
        return ImageOps.fit(image, size, method)  # as in the code that Teachable Machine gives away with its models
    if card.fit == "pad":
        return ImageOps.pad(image, size, method, color=0)
    return image.resize(size, method)


def _shaped(image: Image.Image, card: Card) -> npt.NDArray[np.uint8]:
    return np.asarray(image).reshape(image.height, image.width, card.channels)


def _middle(size: tuple[int, int], target: tuple[int, int]) -> _Box:
    """The middle of a picture at the target's aspect, in whole pixels as keras.utils.image_utils.smart_resize cuts."""
    width_px = max(1, min(size[0], size[1] * target[0] // target[1]))
    height_px = max(1, min(size[1], size[0] * target[1] // target[0]))
    left, top = (size[0] - width_px) // 2, (size[1] - height_px) // 2
    return left, top, left + width_px, top + height_px


def _inside(size: tuple[int, int], target: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The largest size of a picture that fits into the target, and its place; counted as tf.image.resize_with_pad does.

    In float32, for its roundings decide whether it is a pixel less.
    """
    given, wanted = np.array(size, np.float32), np.array(target, np.float32)
    exact = given / (given / wanted).max()
    width_px, height_px = np.floor(exact).astype(int).clip(1).tolist()
    left, top = np.floor((wanted - exact) / 2).astype(int).clip(0).tolist()
    return (width_px, height_px), (left, top)


def _interpolated(image: Image.Image, box: _Box, size: tuple[int, int], card: Card) -> Float32Array:
    """What `box` of the picture shows at the middle of each pixel of the result, between the pixels around it.

    Measured on noise, the worst case, in levels of 255: against tf.image.resize(antialias=False), smart_resize of Keras
    and resize_with_pad nearest is equal, bilinear within 0.0001, lanczos (lanczos3) within 0.05, bicubic (TensorFlow
    has its weights in a table) within 0.25. Against cv2.resize INTER_LINEAR, which rounds, within 0.8; OpenCV's
    nearest, cubic and area are other filters. A JPEG itself differs unless the card's jpeg_decoder is
    tensorflow: by 0.85 levels on average and by 9 at most.
    """
    columns, across = _taps(box[2] - box[0], size[0], card.interpolation)
    rows, down = _taps(box[3] - box[1], size[1], card.interpolation)
    result = np.empty((size[1], size[0], card.channels), np.float32)
    for start in range(0, size[1], band := max(1, _BAND_PX // size[0])):
        part = slice(start, start + band)
        needed = _needed(rows[:, part])
        lines = _lines(image, box, needed)
        narrow = _mixed(
            (lines.take(column, axis=1).view(np.uint8), weight.repeat(lines.itemsize))
            for column, weight in zip(columns, across, strict=True)
        )
        places = np.searchsorted(needed, rows[:, part])
        low = _mixed((narrow[place], weight[:, None]) for place, weight in zip(places, down[:, part], strict=True))
        for channel in range(card.channels):  # channel by channel moves fastest, and leaves Pillow's fourth byte behind
            result[part, :, channel] = low[:, channel :: lines.itemsize]
    return result


def _mixed(parts: Iterable[tuple[Pixels, Float32Array]]) -> Float32Array:
    """The sum of each part times its weights."""
    products = (np.multiply(part, weight, dtype=np.float32) for part, weight in parts)
    total: Float32Array = next(products)
    for product in products:
        total += product
    return total


def _needed(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Which rows to copy out of the picture, ascending: with those between, unless they are most of it."""
    first, last = int(rows.min()), int(rows.max())
    return np.arange(first, last + 1) if last - first < 2 * rows.size else np.unique(rows)


def _lines(image: Image.Image, box: _Box, rows: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    """These rows of what is in the box, a number for each pixel."""
    layout, kind = ("L", np.uint8) if image.mode == "L" else ("RGBX", np.uint32)  # four bytes move faster than three
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    parts = [image.crop((box[0], box[1] + int(run[0]), box[2], box[1] + int(run[-1]) + 1)) for run in runs]
    data = b"".join(part.tobytes("raw", layout) for part in parts)
    return np.frombuffer(data, kind).reshape(len(rows), box[2] - box[0])


@lru_cache(64)
def _taps(given: int, wanted: int, interpolation: str) -> tuple[npt.NDArray[np.intp], Float32Array]:
    """For each of the `wanted` pixels along a side, which of the `given` ones count, and how much: a row for each."""
    # middles lie on halves; float32, for TensorFlow's own places of pixels are
    middle = (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * (np.float32(given) / np.float32(wanted))
    if interpolation == "nearest":
        return middle.astype(np.intp)[None].clip(0, given - 1), np.ones((1, wanted), np.float32)
    reach, weight = _KERNELS[interpolation]
    places = np.ceil(middle - np.float32(reach + 0.5)) + np.arange(2 * reach, dtype=np.float32)[:, None]
    weights = weight(np.abs(places + np.float32(0.5) - middle))
    weights[(places < 0) | (places >= given)] = 0
    return places.astype(np.intp).clip(0, given - 1), weights / weights.sum(axis=0)


def _triangle(distance: Float32Array) -> Float32Array:
    return (1 - distance).clip(0)


def _keys(distance: Float32Array) -> Float32Array:
    """Keys' cubic with a = -0.5, as in Pillow and TensorFlow (OpenCV has -0.75)."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0)).astype(np.float32)


def _lanczos(distance: Float32Array) -> Float32Array:
    return np.where(distance < 3, np.sinc(distance) * np.sinc(distance / 3), 0).astype(np.float32)


_KERNELS: Final[dict[str, _Kernel]] = {
    "bilinear": (1, _triangle),
    "bicubic": (2, _keys),
    "lanczos": (3, _lanczos),
}
