"""What the model makes of a photo when only its corners, or only its centre, can be seen."""

from collections.abc import Callable, Sequence

import numpy as np

from data import Floats, Photo
from scores import Probabilities

CORNER_SHARE = 0.2
CENTRE_SHARE = 0.6
HIDDEN = 0.5

Views = dict[str, dict[str, float | int]]


def corners_only(inputs: Floats) -> Floats:
    """Hide all but four squares of a fifth of the side, (N,H,W,3)."""
    side = round(inputs.shape[1] * CORNER_SHARE)
    out = np.full_like(inputs, HIDDEN)
    for rows in (slice(None, side), slice(-side, None)):
        for columns in (slice(None, side), slice(-side, None)):
            out[:, rows, columns] = inputs[:, rows, columns]
    return out


def centre_only(inputs: Floats) -> Floats:
    """Hide all but the middle square of three fifths of the side, (N,H,W,3)."""
    margin = round(inputs.shape[1] * (1 - CENTRE_SHARE) / 2)
    out = np.full_like(inputs, HIDDEN)
    out[:, margin:-margin, margin:-margin] = inputs[:, margin:-margin, margin:-margin]
    return out


def without_corners(inputs: Floats) -> Floats:
    """Hide the four corner squares only, (N,H,W,3)."""
    side = round(inputs.shape[1] * CORNER_SHARE)
    out = inputs.copy()
    for rows in (slice(None, side), slice(-side, None)):
        for columns in (slice(None, side), slice(-side, None)):
            out[:, rows, columns] = HIDDEN
    return out


def crop_accuracy(guess: Probabilities, photos: Sequence[Photo], crop: str) -> tuple[float, int]:
    """Compute balanced accuracy among the classes one crop has, and count these classes."""
    rows = [index for index, photo in enumerate(photos) if photo.crop == crop]
    truth = np.array([photos[index].label for index in rows])
    classes = np.unique(truth)
    chosen = classes[guess[rows][:, classes].argmax(axis=1)]
    return float(np.mean([(chosen[truth == label] == label).mean() for label in classes])), len(classes)


def compare_views(inputs: Floats, photos: Sequence[Photo], predict: Callable[[Floats], Probabilities]) -> Views:
    """Compare, per leaf crop, balanced accuracy from all, centre, corners and all but corners."""
    guesses = {
        "all": predict(inputs),
        "all_but_corners": predict(without_corners(inputs)),
        "centre_only": predict(centre_only(inputs)),
        "corners_only": predict(corners_only(inputs)),
    }
    views: Views = {}
    for crop in sorted({photo.crop for photo in photos} - {"none"}):
        views[crop] = {}
        for name, guess in guesses.items():
            balanced, count = crop_accuracy(guess, photos, crop)
            views[crop][name] = round(balanced, 4)
            views[crop]["chance"] = round(1 / count, 4)
    return views
