"""Temperature and thresholds fitted on labelled photos: what makes of confidence a verdict that one may trust."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from scipy import optimize

from shared.cards import Card
from shared.errors import OperatorError
from worker.check.answers import Answers, Show
from worker.check.calibration import calibration
from worker.check.contracts import Contract
from worker.check.evidence import ENOUGH_PHOTOS, Evidence, Floats, gather, too_few
from worker.check.photos import find_photos
from worker.check.verdict import works
from worker.interpretation import calibrated
from worker.registry import ServedModel

_COLDEST, _HOTTEST = 0.1, 10.0
_SMALLEST: Final = 1e-12
_STEPS: Final = range(50, 100)  # hundredths in which diagnosed_at is looked for
_REJECTING_STEPS: Final = range(10, 51)  # and not_recognised_at
_KEPT: Final = 0.98  # of the photos of recognised labels must not be turned away


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The fitted entries of a card's [output], and what they bring on the photos they were fitted on."""

    entries: dict[str, float]  # temperature, diagnosed_at, and not_recognised_at where a label stands for it
    error_before: float  # expected calibration error
    error_after: float
    kinds: dict[str, int]  # photos by kind of verdict, from now on
    right: float  # share of the firm verdicts that are right
    photos: int


def fit_thresholds(model: ServedModel, photos: Path, *, most: int, wanted: float, show: Show) -> Thresholds:
    """The temperature with the highest likelihood, and the lowest threshold whose firm verdicts are right often enough.

    Args:
        photos: holds a folder for each label, of photos that training never saw.
        most: photos of each label that are looked at.
        wanted: share of firm verdicts that has to be right, 0 to 1.
        show: see `run_check`.

    Raises:
        OperatorError: the photos are too few, or the model's answers no better than chance.
    """
    found = find_photos(photos, model.card, most)
    answers = Answers(model, found.photos, show)
    answers.plan(len(found.photos))
    declared = Contract(model.card)
    answers.first(declared)
    everything = np.arange(len(answers.photos))
    evidence = gather(declared, answers.get([declared], everything, "as declared")[0], answers.truth)
    if short := too_few(evidence):
        raise OperatorError(
            f"To calibrate, {ENOUGH_PHOTOS} photos of a label are needed: too few of {', '.join(short)}."
        )
    if not works(evidence):
        raise OperatorError("The answers are no better than chance: run `turno models check` first.")
    temperature = _temperature(evidence)
    shares = np.stack([calibrated(row, temperature) for row in evidence.probabilities.astype(np.float32)]).astype(
        np.float64
    )
    entries = {"temperature": temperature, "diagnosed_at": _diagnosed_at(shares, evidence, wanted)}
    if not all(label.recognised for label in model.card.labels):
        entries["not_recognised_at"] = _not_recognised_at(shares, evidence)
    before, card = calibration(evidence), _with(model.card, entries)
    after = calibration(replace(evidence, contract=replace(declared, card=card)))
    sure = shares.max(axis=1) >= entries["diagnosed_at"]
    right = float(evidence.right[sure].mean()) if sure.any() else 0.0
    return Thresholds(entries, before.error, after.error, after.kinds, right, len(shares))


def _with(card: Card, entries: dict[str, float]) -> Card:
    return replace(card, **entries)  # type: ignore[arg-type]  # every one of them is a number


def _temperature(evidence: Evidence) -> float:
    """Guo et al. 2017, arXiv:1706.04599, by the likelihood of the photos' classes."""
    logs = np.log(np.maximum(evidence.probabilities, _SMALLEST))

    def loss(log_temperature: float) -> float:
        powers: Floats = logs / np.exp(log_temperature)
        powers -= powers.max(axis=1, keepdims=True)
        true = powers[np.arange(len(powers)), evidence.truth]
        return float((np.log(np.exp(powers).sum(axis=1)) - true).mean())

    found = optimize.minimize_scalar(loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return round(float(np.exp(found.x)), 3)


def _diagnosed_at(shares: Floats, evidence: Evidence, wanted: float) -> float:
    for step in _STEPS:
        sure = shares.max(axis=1) >= step / 100
        if sure.any() and evidence.right[sure].mean() >= wanted:
            return step / 100
    return max(_STEPS) / 100


def _not_recognised_at(shares: Floats, evidence: Evidence) -> float:
    strange = np.array([not label.recognised for label in evidence.contract.card.labels])
    turned_away = shares[~strange[evidence.truth]][:, strange].sum(axis=1)
    for step in _REJECTING_STEPS:
        if (turned_away < step / 100).mean() >= _KEPT:
            return step / 100
    return max(_REJECTING_STEPS) / 100
