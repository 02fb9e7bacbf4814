"""A classifier whose contract is known, and labelled photos of what it was made for.

It compares what it is fed with what each class looks like under the contract it was "trained" with. Its pictures are
wider than high and differ in colour, place and rim, so that every mistake in feeding it can be seen.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.cards import Card, Label, check_card
from worker.preprocessing import Float32Array, preprocess_image_for_prediction
from worker.registry import ServedModel

WIDTH_PX, HEIGHT_PX = 12, 8
_PHOTO = (48, 16)  # wider than what the model takes: cut to its aspect, half of it is lost
_NOISE = 70.0
_SURE = 3.0
_UNSURE = 1e-3  # of what looks like nothing it knows, it says nothing
LABELS = (
    Label("healthy", name={"es": "Sana"}),
    Label("powdery_mildew", name={"es": "Oídio"}),
    Label("rust"),
    Label("not_leaf", recognised=False),
)


def trained_card(**changes: Any) -> Card:
    """The contract it was made with."""
    entries: dict[str, Any] = {
        "name": "leaf", "version": "1", "file": "leaf.keras", "width_px": WIDTH_PX, "height_px": HEIGHT_PX,
        "labels": LABELS, "scale": "-1..1",
    }  # fmt: skip
    return check_card(Card(**{**entries, **changes}))


class Comparing:
    """Answers with the class whose look is nearest."""

    name = "comparing"
    precision = "f32"
    micro_batch = 16

    def __init__(self, card: Card) -> None:
        looks = [preprocess_image_for_prediction(_picture(label.id), card) for label in card.labels]
        self._looks = np.stack(looks)
        self._room = float(self._looks.var()) / 2

    def predict(self, batch: Float32Array) -> Float32Array:
        """See `ModelEngine.predict`."""
        if batch.shape[1:] != self._looks.shape[1:]:
            raise ValueError("another shape")
        distances = np.square(batch[:, None] - self._looks).mean(axis=(2, 3, 4)) / self._room
        powers = np.exp(-distances) + _UNSURE
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


class Proportional:
    """Answers by the likeness in colour, and is as sure as the numbers are large: its answers know no scale."""

    name = "proportional"
    precision = "f32"
    micro_batch = 16

    def __init__(self, card: Card) -> None:
        looks = np.stack([preprocess_image_for_prediction(_picture(label.id), card).ravel() for label in card.labels])
        shared = np.linalg.qr(np.stack([np.ones(looks.shape[1]), looks.mean(axis=0)], axis=1))[0]
        likes = looks - looks @ shared @ shared.T  # whatever is bright or common to all is like none of them
        self._likes = _SURE * likes / np.square(likes).sum(axis=1, keepdims=True)

    def predict(self, batch: Float32Array) -> Float32Array:
        """See `ModelEngine.predict`."""
        return _softmax(batch.reshape(len(batch), -1) @ self._likes.T)


class Guessing:
    """Answers anything, and is as sure as the numbers are large."""

    name = "guessing"
    precision = "f32"
    micro_batch = 16

    def predict(self, batch: Float32Array) -> Float32Array:
        """See `ModelEngine.predict`."""
        random = np.random.default_rng(list(batch.tobytes()[:64]))
        return _softmax(random.normal(0, 1, (len(batch), len(LABELS))) * batch.std())


class Deaf:
    """Answers the same to everything."""

    name = "deaf"
    precision = "f32"
    micro_batch = 16

    def predict(self, batch: Float32Array) -> Float32Array:
        """See `ModelEngine.predict`."""
        return np.tile(np.array([0.1, 0.2, 0.3, 0.4], np.float32), (len(batch), 1))


def _softmax(powers: Float32Array) -> Float32Array:
    shares = np.exp(powers - powers.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def served(trained: Card, **declared: Any) -> ServedModel:
    """The model that was trained so, with a card that may say something else."""
    return ServedModel("leaf", check_card(replace(trained, **declared)), Comparing(trained))


def take_photos(
    folder: Path, each: int, labels: Sequence[str] = ("healthy", "powdery_mildew", "rust", "not_leaf")
) -> Path:
    """So many noisy photos of each class, in a folder for each."""
    random = np.random.default_rng(5)
    for label in labels:
        (folder / label).mkdir(parents=True)
        clean = np.asarray(_picture(label), np.float64)
        for number in range(each):
            noisy = (clean + random.normal(0, _NOISE, clean.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / label / f"{number}.png", compress_level=1)
    return folder


def _picture(label: str) -> Image.Image:
    random = np.random.default_rng(list(label.encode()))
    patches = random.uniform(90, 165, (4, 9, 3)).astype(np.uint8)
    return Image.fromarray(patches).resize(_PHOTO, Image.Resampling.BILINEAR)
