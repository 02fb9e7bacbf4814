"""How raw outputs become an answer: numbers, class, and the verdict that says what they are worth."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shared.cards import Card
from shared.errors import ModelFault
from worker.preprocessing import Float32Array

_SUM_TOLERANCE: Final = 0.01  # reduced precision rounds; a distribution still sums to one within this
_EXACT: Final = 1e-5  # raw numbers do not lie in 0 to 1 and sum to 1 this closely: those went through a softmax already


def interpret_prediction(outputs: Float32Array, card: Card) -> dict[str, Any]:
    """The answer for one image.

    Args:
        outputs: float32, shape (labels,) or, where one number speaks for two labels, (1,).
        card: the model's contract.

    Returns:
        predictions: the model's own numbers in label order, summing to one.
        predicted_class, confidence: the largest of them, untranslated and uncalibrated.
        probabilities: the same numbers by label.
        verdict: `diagnosed`, `uncertain` or `not_recognised`, with the calibrated probability and the reason.

    Raises:
        ModelFault: the outputs are not what the card says they are, or not one for each label.
    """
    predictions = class_probabilities(outputs, card)
    best = int(predictions.argmax())
    rounded = [round(value, 6) for value in predictions.tolist()]
    return {
        "predictions": rounded,
        "predicted_class": card.labels[best].id,
        "confidence": rounded[best],
        "probabilities": dict(zip((label.id for label in card.labels), rounded, strict=True)),
        "verdict": _verdict(calibrated(predictions, card.temperature), best, card),
    }


def class_probabilities(outputs: Float32Array, card: Card) -> Float32Array:
    """One probability for each label, summing to one.

    A single output of a sigmoid, or the logistic function of a single raw one, is the second label's probability.

    Raises:
        ModelFault: the outputs are not what the card says they are, or not one for each label.
    """
    single = outputs.shape == (1,) and len(card.labels) == 2 and card.activation != "softmax"
    if outputs.shape != (len(card.labels),) and not single:
        raise ModelFault(f"The model gives {outputs.size} outputs for {len(card.labels)} labels.")
    if not np.isfinite(outputs).all():
        raise ModelFault("The model's outputs are not finite numbers.")
    match card.activation:
        case "logits":
            return _of_logits(outputs)
        case "sigmoid":
            return _of_sigmoids(outputs)
        case _:
            if outputs.min() < -_SUM_TOLERANCE or abs(float(outputs.sum()) - 1) > _SUM_TOLERANCE:
                raise ModelFault(f"The model's outputs are no probabilities that sum to 1: {_nature(outputs)}.")
            return outputs


def calibrated(predictions: Float32Array, temperature: float) -> Float32Array:
    """softmax(log(p) / T): temperature scaling (Guo et al. 2017, arXiv:1706.04599)."""
    powered: npt.NDArray[np.float64] = np.clip(predictions.astype(np.float64), 1e-12, 1) ** (1 / temperature)
    shares: Float32Array = (powered / powered.sum()).astype(np.float32)
    return shares


def _of_logits(outputs: Float32Array) -> Float32Array:
    if outputs.shape != (1,) and outputs.min() >= 0 and abs(float(outputs.sum()) - 1) < _EXACT:
        raise ModelFault('The outputs are probabilities already, and no logits: say activation = "softmax".')
    raw = np.array([0, *outputs], np.float64) if outputs.shape == (1,) else outputs.astype(np.float64)
    grown = np.exp(raw - raw.max())
    shares: Float32Array = (grown / grown.sum()).astype(np.float32)
    return shares


def _of_sigmoids(outputs: Float32Array) -> Float32Array:
    if outputs.min() < -_SUM_TOLERANCE or outputs.max() > 1 + _SUM_TOLERANCE:
        raise ModelFault(f"The model's outputs are no probabilities of a sigmoid: {_nature(outputs)}.")
    if outputs.shape == (1,):
        second = outputs[0].clip(0, 1)
        return np.array([1 - second, second], np.float32)
    kept = outputs.clip(0, 1).astype(np.float64)
    total = kept.sum()
    # all zero: nothing speaks for any label more than for another
    shares: Float32Array = (kept / total if total else np.full(len(kept), 1 / len(kept))).astype(np.float32)
    return shares


def _nature(outputs: Float32Array) -> str:
    """What numbers look like that are no probabilities, and what helps."""
    low, high, total = float(outputs.min()), float(outputs.max()), float(outputs.sum())
    if low < -1 - _SUM_TOLERANCE or high > 1 + _SUM_TOLERANCE:
        return f'with {low:.3g} to {high:.3g} they look like raw logits (if they are: say activation = "logits")'
    if low < -_SUM_TOLERANCE:
        return (
            f"with {low:.3g} to {high:.3g} they lie in -1 to 1 like a tanh's, which is no classifier's last layer "
            '(if they are raw logits: say activation = "logits")'
        )
    return (
        f"each lies in 0 to 1, but together they make {total:.3g}, as sigmoids of their own do "
        '(if they are: say activation = "sigmoid")'
    )


def _verdict(shares: Float32Array, best: int, card: Card) -> dict[str, Any]:
    """What the calibrated probabilities are worth.

    `not_recognised` when the labels that the model is not for reach the card's threshold together; else `diagnosed`
    when the most probable label of all is one that it is for and reaches its own; else `uncertain`.
    """
    outside = [at for at, label in enumerate(card.labels) if not label.recognised]
    away = float(shares[outside].sum())
    probability = float(shares[best])
    if outside and away >= card.not_recognised_at:
        best = max(outside, key=lambda at: float(shares[at]))
        probability = float(shares[best])
        kind, code = "not_recognised", "not_recognised"
        reason = (
            "The image shows nothing that this model was trained to judge: the probability of "
            f"{away:.0%} for that reaches {card.not_recognised_at:.0%}."
        )
    elif best in outside:
        kind, code = "uncertain", "perhaps_not_recognised"
        reason = (
            "The image may show nothing that this model was trained to judge: that has a probability of "
            f"{away:.0%}, and {card.not_recognised_at:.0%} would settle it."
        )
    elif probability < card.diagnosed_at:
        kind, code = "uncertain", "not_sure_enough"
        reason = f"The best class has a probability of {probability:.0%}; {card.diagnosed_at:.0%} is asked for."
    else:
        kind, code = "diagnosed", "sure_enough"
        reason = f"The probability of {probability:.0%} reaches {card.diagnosed_at:.0%}."
    label = card.labels[best]
    return {
        "kind": kind,
        "class": label.id,
        "probability": round(probability, 4),
        "threshold": card.diagnosed_at,
        "not_recognised_probability": round(away, 4),
        "not_recognised_threshold": card.not_recognised_at,
        "reason_code": code,
        "reason": reason,
        "name": label.name,
        "advice": label.advice,
    }
