"""Figures that describe predictions; probabilities are (N,classes) and labels (N,)."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from data import LABELS, Ints

Probabilities = npt.NDArray[np.float64]
SMALLEST = 1e-7


class ClassFigures(TypedDict):
    """Quality on one class; support counts photos."""

    precision: float
    recall: float
    f1: float
    support: int


def confusion(labels: Ints, predicted: Ints) -> Ints:
    """Count photos by true row and predicted column, (classes,classes)."""
    table = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(table, (labels, predicted), 1)
    return table


def per_class(labels: Ints, predicted: Ints) -> dict[str, ClassFigures]:
    """Compute precision, recall and F1 of every class."""
    table = confusion(labels, predicted)
    figures: dict[str, ClassFigures] = {}
    for index, name in enumerate(LABELS):
        hit = float(table[index, index])
        said, true = float(table[:, index].sum()), float(table[index].sum())
        figures[name] = {
            "precision": hit / said if said else 0.0,
            "recall": hit / true if true else 0.0,
            "f1": 2 * hit / (said + true) if said + true else 0.0,
            "support": int(true),
        }
    return figures


def macro_f1(labels: Ints, predicted: Ints) -> float:
    """Average F1 over all classes."""
    return float(np.mean([figures["f1"] for figures in per_class(labels, predicted).values()]))


def accuracy(labels: Ints, predicted: Ints) -> float:
    """Compute the share of photos that are right."""
    return float((labels == predicted).mean())


def nll(probabilities: Probabilities, labels: Ints) -> float:
    """Compute the mean negative log-likelihood in nats."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, SMALLEST)).mean())


def ece(probabilities: Probabilities, labels: Ints, bins: int = 15) -> float:
    """Compute the expected calibration error over equal-width confidence bins."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = [
        abs(right[place == bin_].mean() - confidence[place == bin_].mean()) * (place == bin_).mean()
        for bin_ in range(bins)
        if (place == bin_).any()
    ]
    return float(sum(gaps))


def calibrate(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Apply softmax(log(p)/temperature) to every row."""
    logits = np.log(np.maximum(probabilities, SMALLEST)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    powers: Probabilities = np.exp(logits)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def _best_temperature(probabilities: Probabilities, labels: Ints) -> float:
    """Find the temperature between 0.3 and 4 with the lowest negative log-likelihood."""
    grid = np.exp(np.linspace(np.log(0.3), np.log(4.0), 400))
    losses = [nll(calibrate(probabilities, float(value)), labels) for value in grid]
    return float(grid[int(np.argmin(losses))])


def fit_temperature(guesses: Sequence[Probabilities], truths: Sequence[Ints], largest_ece: float) -> float:
    """Fit one temperature to plain and harder copies, lowered until the plain ones are calibrated well enough."""
    wanted = _best_temperature(np.concatenate(guesses), np.concatenate(truths))
    least = _best_temperature(guesses[0], truths[0])
    while wanted > least and ece(calibrate(guesses[0], wanted), truths[0]) > largest_ece:
        wanted -= 0.005
    return round(wanted, 3)


def fit_threshold(probabilities: Probabilities, labels: Ints, wanted_precision: float) -> float:
    """Find the lowest calibrated probability in steps of 0.01 whose verdicts are precise enough."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    for step in range(50, 96):
        sure = confidence >= step / 100
        if sure.any() and right[sure].mean() >= wanted_precision:
            return step / 100
    return 0.95


def fit_rejection(not_leaf: Probabilities, hard_not_leaf: Probabilities, kept: float, hard_kept: float) -> float:
    """Find the lowest probability of no leaf, (N,) over leaves only, that still keeps these shares of the leaves."""
    for step in range(10, 50):
        at = step / 100
        if (not_leaf < at).mean() >= kept and (hard_not_leaf < at).mean() >= hard_kept:
            return at
    return 0.5
