"""The card that tells the service how to use the model file."""

import hashlib
import json
import logging
from pathlib import Path

import keras
import numpy as np

from data import HERE, IMAGE_PX, LABELS, Photo, labels_of, load_photos
from scores import calibrate, ece, fit_temperature, fit_threshold, nll

LOG = logging.getLogger("leaf-health")
# Well above the plain accuracy, because photos from other fields and phones will be harder.
WANTED_PRECISION = 0.97

HEAD = """name = "leaf-health"
version = "1.0.0"
file = "model.keras"
sha256 = "{sha256}"
description = "{description}"
licence = "{licence}"

[input]
width_px = {px}
height_px = {px}
channels = 3
color_order = "RGB"
scale = "1/255"
interpolation = "bilinear"
exif = "apply"

[output]
activation = "softmax"
temperature = {temperature}
diagnosed_at = {diagnosed_at:.2f}
tolerance = 0.01
"""

LABEL = """
[[labels]]
id = "{id}"
recognised = {recognised}
name = {{ en = "{name[en]}", es = "{name[es]}" }}
advice = {{ en = "{advice[en]}", es = "{advice[es]}" }}
"""


def render_card(sha256: str, temperature: float, diagnosed_at: float) -> str:
    """Write the card as TOML text."""
    texts = json.loads((HERE / "texts.json").read_text(encoding="utf-8"))
    parts = [
        HEAD.format(
            sha256=sha256,
            px=IMAGE_PX,
            temperature=temperature,
            diagnosed_at=diagnosed_at,
            description=texts["description"],
            licence=texts["licence"],
        )
    ]
    for label in LABELS:
        recognised = "false" if label == "not_leaf" else "true"
        parts.append(LABEL.format(id=label, recognised=recognised, **texts["labels"][label]))
    return "".join(parts)


def calibrated_card(network: keras.Model, file: Path, folder: Path, validation: list[Photo]) -> str:
    """Calibrate on validation photos and write the card of a saved model as TOML text."""
    images = load_photos(folder, validation, IMAGE_PX).astype(np.float32) / 255
    guess = np.asarray(network.predict(images, batch_size=64, verbose=0), np.float64)
    truth = labels_of(validation)
    temperature = fit_temperature(guess, truth)
    calibrated = calibrate(guess, temperature)
    diagnosed_at = fit_threshold(calibrated, truth, WANTED_PRECISION)
    LOG.info(
        "validation: temperature %.3f, nll %.4f to %.4f, ece %.4f to %.4f, diagnosed at %.2f",
        *(temperature, nll(guess, truth), nll(calibrated, truth)),
        *(ece(guess, truth), ece(calibrated, truth), diagnosed_at),
    )
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return render_card(sha256, temperature, diagnosed_at)
