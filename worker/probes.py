"""The images on which engines are compared, and what the answers to them must be."""

import numpy as np
from PIL import Image

from shared.cards import Card
from shared.errors import ModelFault, OperatorError
from worker.interpretation import class_probabilities
from worker.preprocessing import Float32Array, preprocess_image_for_prediction
from worker.served import Golden

_SMOOTH_IMAGES, _COARSE_PX = 6, 12
_COLORS = ("black", "white", "red", "green", "blue")
_TIE = 1e-4  # two classes as close as this are both the first: rounding decides, which differs between engines


def probe_images(card: Card, golden: tuple[Golden, ...]) -> Float32Array:
    """Inputs to compare engines on: the golden images, else synthetic ones that are the same each time."""
    if golden:
        return np.stack([preprocess_image_for_prediction(Image.open(one.path), card) for one in golden])
    coarse = np.random.default_rng(0).integers(0, 256, (_SMOOTH_IMAGES, _COARSE_PX, _COARSE_PX, 3), np.uint8)
    size = (card.width_px, card.height_px)
    smooth = [Image.fromarray(patch).resize(size, Image.Resampling.BICUBIC) for patch in coarse]
    return np.concatenate([np.stack([preprocess_image_for_prediction(one, card) for one in smooth]), odd_images(card)])


def odd_images(card: Card) -> Float32Array:
    """Noise and plain colours, unlike any photo: outputs that are no probabilities do not pass there by luck."""
    noise = np.random.default_rng(1).integers(0, 256, (card.height_px, card.width_px, 3), np.uint8)
    plain = [Image.new("RGB", (card.width_px, card.height_px), color) for color in _COLORS]
    return np.stack([preprocess_image_for_prediction(one, card) for one in (Image.fromarray(noise), *plain)])


def require_probabilities(outputs: Float32Array, card: Card) -> None:
    """Passes answers that are what the card says.

    Raises:
        OperatorError: one is no distribution.
    """
    try:
        _probabilities(outputs, card)
    except ModelFault as fault:
        raise OperatorError(
            f"The model cannot be served with activation {card.activation}: {fault.detail} "
            f"It gave {[round(float(value), 3) for value in outputs[0][:6]]} for one image."
        ) from fault


def largest_shift(found: Float32Array, expected: Float32Array, card: Card) -> float:
    """How far any probability is from what is expected; infinite when a top class differs or answers are unusable."""
    reference = _probabilities(expected, card)
    try:
        probabilities = _probabilities(found, card)
    except ModelFault:
        return np.inf
    chosen = np.take_along_axis(reference, probabilities.argmax(1)[:, None], 1)[:, 0]
    agrees = (reference.max(1) - chosen <= _TIE).all()
    return float(np.abs(probabilities - reference).max()) if agrees else np.inf


def require_recorded(card: Card, golden: tuple[Golden, ...], outputs: Float32Array) -> None:
    """Refuses a model whose preprocessing or labels are not those of its training.

    Raises:
        OperatorError: a golden image gets other probabilities than were recorded.
    """
    for one, found in zip(golden, _probabilities(outputs, card), strict=False):
        if len(one.probabilities) != len(found):
            raise OperatorError(f"The golden image {one.path.name} has not one recorded probability for each label.")
        shift = float(np.abs(found - np.asarray(one.probabilities)).max())
        best = card.labels[int(found.argmax())].id
        if shift > 2 * card.tolerance or best != one.label:
            raise OperatorError(
                f"The golden image {one.path.name} shows {one.label} and now gives {best}, and its numbers moved by "
                f"{shift:.3f}: the card's labels or preprocessing, or the file, are not what was trained."
            )


def _probabilities(outputs: Float32Array, card: Card) -> Float32Array:
    return np.stack([class_probabilities(row, card) for row in outputs])
