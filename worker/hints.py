"""What may be wrong with a photo: too dark, too bright, too blurred, too small. It is said, and nothing is held back.

The limits were measured on 1,500 photos of the leaf data's training split: 0.1 % of them get a hint for a model of
180 px. Of the same photos spoiled on purpose get theirs: of those darkened to 0.3 all, by a gamma of 4 87 %; brightened
fourfold 93 %; blurred by a Gaussian of 3 % of the side 99.6 %, with noise (deviation 3) on top of that 97 %, saved as a
JPEG of quality 60 after that 98 %; shrunk below the model's size all.
"""

from typing import Any, Final

import numpy as np
from PIL import Image

from shared.cards import Card
from worker.resizing import Float32Array, Pixels

_LOOK_PX: Final = 64  # everything is measured at this size, so that a limit means the same for each model
_DARK_BELOW: Final = (
    85  # of 0–255: where four fifths of the picture are darker (good photos: 101 at the 1st percentile)
)
_BRIGHT_ABOVE: Final = 180  # where four fifths are brighter (good photos: 142 at the 99th)
# variance of the Laplacian by that of the gradient: about 2 at a sharp edge whatever the contrast, and it falls with
# the square of the blur (good photos: 1.47 at least; blurred by 2 % of the side: 0.85 at most)
_BLURRED_BELOW: Final = 1.1
_FLAT: Final = 0.5  # a gradient with less variance is the rounding to 8 bits

_TEXTS: Final = {
    "too_dark": "The photo is very dark: take it in daylight or with more light.",
    "too_bright": "The photo is very bright: take it without direct sun or flash on it.",
    "too_blurred": "The photo is blurred: hold still and focus on the subject.",
    "too_small": "The photo is {value} pixels on its shorter side and the model looks at {limit}: send a larger one.",
}


def image_hints(pixels: Pixels, photo_px: tuple[int, int], card: Card) -> list[dict[str, Any]]:
    """The hints about one photo; none for a good one.

    Args:
        pixels: what the model is to see, before it is scaled.
        photo_px: width and height of the photo as it was sent.
        card: the model's contract.

    Returns:
        code, the measured value, the limit that it misses, and a sentence for people, in English.
    """
    luma = _luma(pixels)
    if card.fit == "pad":
        luma = _without_padding(luma)
    fifth, four_fifths = luma.size // 5, luma.size * 4 // 5
    ordered = np.partition(luma, (fifth, four_fifths), axis=None)
    dark, bright = float(ordered[fifth]), float(ordered[four_fifths])
    sharpness, shorter, wanted = _sharpness(luma), min(photo_px), min(card.width_px, card.height_px)
    found: list[tuple[bool, str, float, float]] = [
        (bright < _DARK_BELOW, "too_dark", bright, _DARK_BELOW),
        (dark > _BRIGHT_ABOVE, "too_bright", dark, _BRIGHT_ABOVE),
        (sharpness < _BLURRED_BELOW, "too_blurred", round(sharpness, 3), _BLURRED_BELOW),
        (shorter < wanted, "too_small", shorter, wanted),
    ]
    return [
        {"code": code, "value": value, "limit": limit, "text": _TEXTS[code].format(value=value, limit=limit)}
        for missed, code, value, limit in found
        if missed
    ]


def _luma(pixels: Pixels) -> Float32Array:
    """The picture's brightness at the size at which everything is measured, or smaller where the model's is."""
    height_px, width_px, channels = pixels.shape
    eight_bit = pixels if pixels.dtype == np.uint8 else (pixels + np.float32(0.5)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(eight_bit[..., 0] if channels == 1 else eight_bit)
    side = max(3, min(_LOOK_PX, width_px, height_px))
    return np.asarray(image.resize((side, side), Image.Resampling.BOX).convert("L"), np.float32)


def _sharpness(luma: Float32Array) -> float:
    middle = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * middle
    gradient = float((luma[1:] - luma[:-1]).var() + (luma[:, 1:] - luma[:, :-1]).var())
    return float(laplacian.var()) / max(gradient, _FLAT)


def _without_padding(luma: Float32Array) -> Float32Array:
    """The picture without its black frame, and without the pixels in which the two meet."""
    rows, columns = np.flatnonzero(luma.any(axis=1)), np.flatnonzero(luma.any(axis=0))
    if min(len(rows), len(columns)) < 5:  # of less nothing would be left to measure
        return luma
    return luma[rows[0] + 1 : rows[-1], columns[0] + 1 : columns[-1]]
