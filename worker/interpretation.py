"""How raw outputs become an answer: numbers, class, and the verdict that says what they are worth."""

from typing import Any

import numpy as np
import numpy.typing as npt

from shared.cards import Card
from shared.errors import ModelFault
from worker.preprocessing import Float32Array

_SUM_TOLERANCE = 0.01  # reduced precision rounds; a distribution still sums to one within this


def interpret_prediction(outputs: Float32Array, card: Card) -> dict[str, Any]:
    """The answer for one image.

    Args:
        outputs: float32, shape (labels,) or, for a sigmoid head, (1,).
        card: the model's contract.

    Returns:
        predictions: the model's own numbers in label order, summing to one.
        predicted_class, confidence: the largest of them, untranslated and uncalibrated.
        probabilities: the same numbers by label.
        verdict: `diagnosed`, `uncertain` or `not_recognised`, with the calibrated probability and the reason.

    Raises:
        ModelFault: the outputs are no probabilities, or not one for each label.
    """
    predictions = class_probabilities(outputs, card)
    best = int(predictions.argmax())
    rounded = [round(value, 6) for value in predictions.tolist()]
    return {
        "predictions": rounded,
        "predicted_class": card.labels[best].id,
        "confidence": rounded[best],
        "probabilities": dict(zip((label.id for label in card.labels), rounded, strict=True)),
        "verdict": _verdict(predictions, best, card),
    }


def class_probabilities(outputs: Float32Array, card: Card) -> Float32Array:
    """One probability for each label; a sigmoid's single output p becomes (1 - p, p).

    Raises:
        ModelFault: the outputs are no probabilities, or not one for each label.
    """
    if card.activation == "sigmoid":
        outputs = np.array([1 - outputs[0], outputs[0]], np.float32) if outputs.shape == (1,) else outputs
    if outputs.shape != (len(card.labels),):
        raise ModelFault(f"The model gives {outputs.size} outputs for {len(card.labels)} labels.")
    if not np.isfinite(outputs).all():
        raise ModelFault("The model's outputs are not finite numbers.")
    if outputs.min() < -_SUM_TOLERANCE or abs(float(outputs.sum()) - 1) > _SUM_TOLERANCE:
        raise ModelFault("The model's outputs are no probabilities: they do not lie in 0 to 1 and sum to 1.")
    return outputs


def calibrated(predictions: Float32Array, temperature: float) -> Float32Array:
    """softmax(log(p) / T): temperature scaling (Guo et al. 2017, arXiv:1706.04599)."""
    powered: npt.NDArray[np.float64] = np.clip(predictions.astype(np.float64), 1e-12, 1) ** (1 / temperature)
    shares: Float32Array = (powered / powered.sum()).astype(np.float32)
    return shares


def _verdict(predictions: Float32Array, best: int, card: Card) -> dict[str, Any]:
    probability = float(calibrated(predictions, card.temperature)[best])
    label = card.labels[best]
    if not label.recognised:
        kind, reason = "not_recognised", "The image shows nothing that this model was trained to judge."
    elif probability < card.diagnosed_at:
        kind = "uncertain"
        reason = f"The best class has a probability of {probability:.0%}; {card.diagnosed_at:.0%} is asked for."
    else:
        kind, reason = "diagnosed", f"The probability of {probability:.0%} reaches {card.diagnosed_at:.0%}."
    return {
        "kind": kind,
        "class": label.id,
        "probability": round(probability, 4),
        "threshold": card.diagnosed_at,
        "reason": reason,
        "name": label.name,
        "advice": label.advice,
    }
