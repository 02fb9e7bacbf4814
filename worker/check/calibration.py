"""Whether the probabilities mean what they say on these photos, and how many answers would be firm: told, no alarm."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from worker.check.evidence import Evidence
from worker.interpretation import calibrated, interpret_prediction

_BINS: Final = 10
_FAR_OFF: Final = 1.25  # times the card's temperature, or its share
_WORTH: Final = 0.02  # less of calibration error is noise on a few hundred photos


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the probabilities fit on these photos."""

    error: float  # expected calibration error at the card's temperature
    temperature: float | None  # one that fits clearly better here
    kinds: dict[str, int]  # photos by kind of verdict


def calibration(evidence: Evidence) -> Calibration:
    """The calibration under a contract at its card's temperature."""
    card = evidence.contract.card
    as_served = replace(card, activation="softmax")  # the numbers are probabilities by now
    rows = evidence.probabilities.astype(np.float32)
    kinds = Counter(str(interpret_prediction(row, as_served)["verdict"]["kind"]) for row in rows)
    error, at = _error(evidence, card.temperature), evidence.temperature
    far = not 1 / _FAR_OFF < at / card.temperature < _FAR_OFF
    better = far and error - _error(evidence, at) > _WORTH
    return Calibration(error, round(at, 2) if better else None, dict(kinds))


def _error(evidence: Evidence, temperature: float) -> float:
    """Guo et al. 2017 (arXiv:1706.04599), over equal steps of confidence."""
    rows = np.array([calibrated(row, temperature) for row in evidence.probabilities.astype(np.float32)])
    sure, right = rows.max(axis=1), evidence.right
    place = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    gaps = [abs(right[place == one].mean() - sure[place == one].mean()) * (place == one).mean() for one in set(place)]
    return float(sum(gaps))
