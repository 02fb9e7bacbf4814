"""Seeded, augmented training batches of one stage of the training, and harder copies of other photos."""

from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

import numpy as np

from augment import Augmenter
from data import (
    FIELD_CROPS,
    HEALTHY,
    LAB_CROPS,
    LABELS,
    NOT_LEAF,
    Floats,
    Ints,
    Photo,
    class_weights,
    labels_of,
    load_photos,
)
from focus import refocus
from masks import keep_masks
from negatives import Negatives

SPARE_PIXELS = 1.25
SMOOTHING = 0.05
WORSE_SHARE = 0.3
# Made pictures without leaf: how many are made for each real one, and what share of them an epoch shows.
MADE_PER_SCENE = 3.0
MADE_SHARE = 0.45
# What lies behind a leaf whose background is exchanged; the rest is healthy field photos.
SCENE_SHARE = 0.4
MADE_BEHIND_SHARE = 0.3
# Some pictures show a second one faintly, and are labelled by both.
MIX_SHARE = 0.2
MIX_MOST = 0.35

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
    """Photos and made pictures in memory, and their random views."""

    def __init__(self, folder: Path, photos: list[Photo], px: int, size: int, seed: int, strength: float) -> None:
        """Load the photos for an output side of px pixels and batches of the given size."""
        self.size, self.seed, self.count = size, seed, len(photos)
        images, labels = load_photos(folder, photos, round(px * SPARE_PIXELS), WORSE_SHARE), labels_of(photos)
        masks, outlined = keep_masks(images, labels)
        self.scenes = np.flatnonzero(labels == NOT_LEAF)
        # Healthy field photos are the only leaves that may stand behind any other leaf.
        field = np.array([photo.crop in FIELD_CROPS for photo in photos])
        self.greens = np.flatnonzero((labels == HEALTHY) & field)
        made = round(len(self.scenes) * MADE_PER_SCENE)
        pictures = Negatives(images, self.scenes, self.greens, masks, outlined).make(made, seed)
        self.images = np.concatenate([images, pictures])
        self.masks = np.concatenate([masks, np.broadcast_to(masks[self.scenes[0]], (made, *masks.shape[1:]))])
        self.labels = np.concatenate([labels, np.full(made, NOT_LEAF)])
        self.lab = np.array([photo.crop in LAB_CROPS for photo in photos] + [False] * made).astype(np.float32)
        self.weights = class_weights(np.concatenate([labels, np.full(round(made * MADE_SHARE), NOT_LEAF)]))
        self.augmenter = Augmenter(px, seed, strength)

    def _view(self, chosen: Ints, random: np.random.Generator) -> Floats:
        """Augment the pictures of the given rows."""
        count, labels = len(chosen), self.labels[chosen]
        drawn = random.random(count)
        behind = random.choice(self.scenes, count)
        made = random.integers(self.count, len(self.labels), count)
        behind = np.where(drawn < MADE_BEHIND_SHARE, made, behind)
        # A scene stays a scene only if no leaf is put into it.
        leafy = (labels != NOT_LEAF) & (drawn > MADE_BEHIND_SHARE + SCENE_SHARE)
        behind = np.where(leafy, random.choice(self.greens, count), behind)
        bare = (labels == NOT_LEAF).astype(np.float32)
        seen = self.augmenter(self.images[chosen], self.masks[chosen], self.lab[chosen], self.images[behind], bare)
        out: Floats = np.array(seen)
        refocus(out, self.augmenter.strength, random)
        return out

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield images (B,px,px,3), soft labels (B,classes) and weights (B,) of one epoch."""
        random = np.random.default_rng([self.seed, number])
        self.augmenter.reseed(self.seed * 1000 + number)
        made = np.arange(self.count, len(self.labels))
        shown = random.choice(made, round(len(made) * MADE_SHARE), replace=False)
        order = random.permutation(np.concatenate([np.arange(self.count), shown]))
        for start in range(0, len(order) - self.size + 1, self.size):
            chosen = order[start : start + self.size]
            labels = self.labels[chosen]
            images = self._view(chosen, random)
            soft = np.full((self.size, len(LABELS)), SMOOTHING / len(LABELS), np.float32)
            soft[np.arange(self.size), labels] += 1 - SMOOTHING
            faint = np.where(random.random(self.size) < MIX_SHARE, random.uniform(0, MIX_MOST, self.size), 0)
            faint = faint.astype(np.float32)[:, None]
            images += faint[..., None, None] * (np.roll(images, 1, axis=0) - images)
            soft += faint * (np.roll(soft, 1, axis=0) - soft)
            yield images, soft, self.weights[labels]

    def harder(self, seed: int) -> tuple[Floats, Ints]:
        """Augment every photo once, and as many made pictures as there are scenes, with their labels."""
        random = np.random.default_rng(seed)
        self.augmenter.reseed(seed)
        rows = np.arange(self.count + len(self.scenes))
        parts = [self._view(rows[start : start + self.size], random) for start in range(0, len(rows), self.size)]
        return np.concatenate(parts), self.labels[rows]
