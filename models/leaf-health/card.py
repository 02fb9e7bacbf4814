"""The card that tells the service how to use the model file."""

import hashlib
import json
import logging
from pathlib import Path

import keras
import numpy as np

from data import HERE, IMAGE_PX, LABELS, NOT_LEAF, Floats, Ints
from scores import calibrate, ece, fit_rejection, fit_temperature, fit_threshold

LOG = logging.getLogger("leaf-health")
# Of plain and harder copies together, because photos from other fields and phones will be harder.
WANTED_PRECISION = 0.95
# The temperature may make the model too modest on plain photos by this much, for the sake of harder ones.
LARGEST_PLAIN_ECE = 0.03
# Leaves of other fields look less like a leaf to the model than these: most of the loss allowed is left to them.
KEPT_LEAVES = 0.985
KEPT_HARD_LEAVES = 0.96

HEAD = """name = "leaf-health"
version = "2.0.0"
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
not_recognised_at = {not_recognised_at:.2f}
tolerance = 0.01
"""

LABEL = """
[[labels]]
id = "{id}"
recognised = {recognised}
name = {{ en = "{name[en]}", es = "{name[es]}" }}
advice = {{ en = "{advice[en]}", es = "{advice[es]}" }}
"""


def render_card(sha256: str, temperature: float, diagnosed_at: float, not_recognised_at: float) -> str:
    """Write the card as TOML text."""
    texts = json.loads((HERE / "texts.json").read_text(encoding="utf-8"))
    parts = [
        HEAD.format(
            sha256=sha256,
            px=IMAGE_PX,
            temperature=temperature,
            diagnosed_at=diagnosed_at,
            not_recognised_at=not_recognised_at,
            description=texts["description"],
            licence=texts["licence"],
        )
    ]
    for label in LABELS:
        recognised = "false" if label == "not_leaf" else "true"
        parts.append(LABEL.format(id=label, recognised=recognised, **texts["labels"][label]))
    return "".join(parts)


def calibrated_card(network: keras.Model, file: Path, copies: list[tuple[Floats, Ints]]) -> str:
    """Calibrate on plain and harder validation copies and write the card of a saved model as TOML text."""
    guesses = [np.asarray(network.predict(seen, batch_size=64, verbose=0), np.float64) for seen, _ in copies]
    truths = [labels for _, labels in copies]
    truth = np.concatenate(truths)
    temperature = fit_temperature(guesses, truths, LARGEST_PLAIN_ECE)
    plain, hard = (calibrate(part, temperature) for part in guesses)
    leaves = [part[labels != NOT_LEAF, NOT_LEAF] for part, labels in zip((plain, hard), truths, strict=True)]
    diagnosed_at = fit_threshold(np.concatenate([plain, hard]), truth, WANTED_PRECISION)
    not_recognised_at = fit_rejection(*leaves, KEPT_LEAVES, KEPT_HARD_LEAVES)
    LOG.info(
        "validation: temperature %.3f, ece %.4f plain, %.4f harder; diagnosed at %.2f, not recognised at %.2f",
        *(temperature, ece(plain, truths[0]), ece(hard, truths[1]), diagnosed_at, not_recognised_at),
    )
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return render_card(sha256, temperature, diagnosed_at, not_recognised_at)
