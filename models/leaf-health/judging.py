"""Validation pictures: plain, as the service shows them, and harder copies, which stand for other fields."""

from pathlib import Path

import numpy as np

from batches import Batches
from data import IMAGE_PX, Floats, Ints, Photo, labels_of, load_photos

STRENGTH = 0.7
SEED = 4


def judging_copies(folder: Path, photos: list[Photo]) -> list[tuple[Floats, Ints]]:
    """Give pictures float32 (N,px,px,3) with labels (N,): first plain ones, then harder ones; always the same."""
    plain = load_photos(folder, photos, IMAGE_PX).astype(np.float32) / 255
    harder = Batches(folder, photos, IMAGE_PX, 16, SEED, STRENGTH).harder(SEED)
    return [(plain, labels_of(photos)), harder]
