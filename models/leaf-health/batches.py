"""Seeded, augmented training batches of one stage of the training."""

from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

import numpy as np

from augment import Augmenter
from data import (
    FIELD_CROPS,
    HEALTHY,
    LABELS,
    NOT_LEAF,
    Floats,
    Photo,
    class_weights,
    labels_of,
    load_photos,
)
from masks import keep_masks

SPARE_PIXELS = 1.25
SMOOTHING = 0.05
SCENE_SHARE = 0.6

Batch = tuple[Floats, Floats, Floats]


def ahead(batches: Iterator[Batch], depth: int = 3) -> Iterator[Batch]:
    """Prepare the next batches in a thread while the network learns from this one."""
    queue: Queue[Batch | BaseException | None] = Queue(depth)

    def fill() -> None:
        try:
            for batch in batches:
                queue.put(batch)
            queue.put(None)
        except BaseException as error:  # handed to the consumer, which raises it
            queue.put(error)

    Thread(target=fill, daemon=True).start()
    while (item := queue.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item


class Batches:
    """The training photos in memory, and their random views."""

    def __init__(self, folder: Path, photos: list[Photo], px: int, size: int, seed: int, strength: float) -> None:
        """Load the photos for an output side of px pixels and batches of the given size."""
        self.size, self.seed = size, seed
        self.images = load_photos(folder, photos, round(px * SPARE_PIXELS))
        self.labels = labels_of(photos)
        self.masks, self.outlined = keep_masks(self.images, self.labels)
        self.weights = class_weights(self.labels)
        self.scenes = np.flatnonzero(self.labels == NOT_LEAF)
        # Healthy field photos are the only leaves that may stand behind any other leaf.
        field = np.array([photo.crop in FIELD_CROPS for photo in photos])
        self.greens = np.flatnonzero((self.labels == HEALTHY) & field)
        self.augmenter = Augmenter(px, seed, strength)

    @property
    def steps(self) -> int:
        """Count the batches of one epoch."""
        return len(self.labels) // self.size

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield images (B,px,px,3), soft labels (B,classes) and weights (B,) of one epoch."""
        random = np.random.default_rng([self.seed, number])
        self.augmenter.reseed(self.seed * 1000 + number)
        order = random.permutation(len(self.labels))
        for step in range(self.steps):
            chosen = order[step * self.size : (step + 1) * self.size]
            labels = self.labels[chosen]
            scene = random.choice(self.scenes, self.size)
            green = random.choice(self.greens, self.size)
            # A scene stays a scene only if no leaf is put into it.
            leafless = (labels == NOT_LEAF) | (random.random(self.size) < SCENE_SHARE)
            behind = np.where(leafless, scene, green)
            images = self.augmenter(
                self.images[chosen],
                self.masks[chosen],
                self.outlined[chosen],
                self.images[behind],
                (labels == NOT_LEAF).astype(np.float32),
            )
            soft = np.full((self.size, len(LABELS)), SMOOTHING / len(LABELS), np.float32)
            soft[np.arange(self.size), labels] += 1 - SMOOTHING
            yield images, soft, self.weights[labels]
