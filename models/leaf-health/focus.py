"""Sharpness: photos out of focus, shaken, sharpened, or of few pixels."""

import numpy as np
from scipy import ndimage

from data import Floats

# The share of photos for each kind, and the least amount of it; most photos stay as they are.
KINDS = (
    (0.28, "soft", -0.5),
    (0.10, "defocus", 0.3),
    (0.10, "shake", 0.3),
    (0.12, "few pixels", 0.5),
)


def _changed(image: Floats, kind: str, random: np.random.Generator) -> Floats:
    """Apply one kind in full to (px,px,3)."""
    if kind == "few pixels":
        step = int(random.integers(2, 4))
        small = ndimage.uniform_filter(image, (step, step, 1))[::step, ::step]
        return small.repeat(step, 0).repeat(step, 1)[: image.shape[0], : image.shape[1]]
    if kind == "shake":
        length = int(random.integers(3, 9))
        return ndimage.uniform_filter(image, (length, 1, 1) if random.random() < 0.5 else (1, length, 1))
    soft = ndimage.uniform_filter(image, (3, 3, 1))
    return soft if kind == "soft" else ndimage.uniform_filter(soft, (5, 5, 1))


def refocus(images: Floats, strength: float, random: np.random.Generator) -> None:
    """Change the sharpness of (B,px,px,3) in place; a negative amount sharpens."""
    for index, image in enumerate(images):
        drawn = random.random()
        for share, kind, least in KINDS:
            drawn -= share * strength
            if drawn < 0:
                amount = random.uniform(least, 1.0)
                images[index] = np.clip(image + amount * (_changed(image, kind, random) - image), 0, 1)
                break
