"""The trained model, fed exactly as the service feeds it: its card, its own preprocessing."""

import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from data import HERE, LABELS, Floats, Photo, Texts
from scores import Probabilities

sys.path.insert(0, str(HERE.parents[1]))

from shared.cards import load_card
from worker.interpretation import interpret_prediction
from worker.preprocessing import preprocess_image_for_prediction


class Classifier:
    """The bundled model with its card."""

    def __init__(self, folder: Path = HERE) -> None:
        """Load card.toml and the model file it names."""
        self.card = load_card(folder / "card.toml")
        if tuple(self.card.label_ids) != LABELS:
            raise SystemExit("The card's labels are not those of the recipe.")
        self.network = keras.models.load_model(folder / self.card.file, compile=False)

    def read(self, path: Path) -> Floats:
        """Turn a photo into the model's input, float32 (180,180,3) in 0..1."""
        with Image.open(path) as image:
            pixels: Floats = preprocess_image_for_prediction(image, self.card)
        return pixels

    def read_all(self, folder: Path, photos: Sequence[Photo]) -> Floats:
        """Turn photos into model inputs, float32 (N,180,180,3)."""
        return np.stack([self.read(folder / photo.file) for photo in photos])

    def predict(self, inputs: Floats) -> Probabilities:
        """Compute raw probabilities, (N,classes), from inputs (N,180,180,3)."""
        return np.asarray(self.network.predict(inputs, batch_size=64, verbose=0), np.float64)

    def verdicts(self, guess: Probabilities) -> Texts:
        """Name the service's verdicts, (N,), on raw probabilities (N,classes)."""
        answers = [interpret_prediction(row.astype(np.float32), self.card) for row in guess]
        return np.array([answer["verdict"]["kind"] for answer in answers])
