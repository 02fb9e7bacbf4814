"""The search: what the numbers mean first, then how they are resized; never the full product of all mistakes.

Scale, colour order and label order hide one another, so they are tried together; every way to resize is then tried
by itself around the best of them. On a slow model a part of the photos picks the finalists, which see all of them.
"""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from worker.check.answers import Answers
from worker.check.contracts import Contract, geometry_contracts, value_contracts
from worker.check.evidence import (
    Comparison,
    Evidence,
    Floats,
    Ints,
    compare,
    gather,
    p_of_chance,
    read_with,
    too_few,
    with_labels_moved,
)
from worker.check.reproduction import Reproduction

_PATIENCE_SECONDS: Final = 300.0  # a round that would take longer begins with a part of the photos
_SCREEN_PER_CLASS: Final = 8  # with fewer the right contract might be missed
_FINALISTS: Final = 5
_ROUNDS: Final = 3  # of ways to resize: each changes one entry at most

# significance, over the number of contracts in the round (Bonferroni), and an effect that is worth an alarm
_CHANCE: Final = 0.01
_GAIN: Final = 0.05  # of balanced accuracy
_NATS: Final = 0.03  # of log-likelihood a photo, with
_LIKELY_MEAN: Final = 0.02  # chance of that mean, and
_SMALL_GAIN: Final = 0.02  # of balanced accuracy: answers that are only surer may be so of wrong numbers, too
# a wrong scale may leave the answers as right as they were, and the model many times too sure or unsure of them
TOO_SURE: Final = float(np.log(5))


@dataclass(slots=True)
class Findings:
    """What was tried, and what came of it."""

    declared: Evidence
    best: Evidence  # the declared one, unless another is clearly better
    tried: list[Evidence]  # on all photos, the declared one first
    screened_out: list[Contract] = field(default_factory=list)  # on a part of them
    known: Reproduction | None = None  # what recorded answers told, where there are any


class Search:
    """Looks for a contract that the photos support better than the declared one."""

    def __init__(self, answers: Answers, declared: Contract) -> None:
        """Takes the answers, those under the declared contract among them."""
        self._answers = answers
        self._declared = declared
        self._truth = answers.truth
        self._all: Ints = np.arange(len(answers.photos))
        self._known: dict[tuple[object, ...], Evidence] = {}
        self._seen: set[tuple[object, ...]] = set()
        self._screened_out: list[Contract] = []

    def run(self, known: Reproduction | None) -> Findings:
        """Tries the plausible contracts.

        Args:
            known: what recorded answers told; their contract stands unless enough labelled photos clearly support
                another one.
        """
        recorded = known.contract if known and known.near else None
        declared = start = self._on_all([self._declared], "as declared")[0]
        if recorded and recorded.feeding != self._declared.feeding:
            self._answers.plan(len(self._all))
            start = self._on_all([recorded], "as recorded")[0]
        if recorded and too_few(start):
            return self._findings(declared, self._better(start, [start], 1), known)
        best = self._improved(start)
        if start is not declared and best.contract.feeding != start.contract.feeding:
            best = self._improved(declared)  # what recorded them did is no hint then
        return self._findings(declared, best, known)

    def _findings(self, declared: Evidence, best: Evidence, known: Reproduction | None) -> Findings:
        return Findings(declared, best, list(self._known.values()), self._screened_out, known)

    def _improved(self, start: Evidence) -> Evidence:
        """What the photos support clearly better than this; itself, if they support nothing better."""
        self._seen = set()
        turned = self._answers.turned
        contracts = value_contracts(start.contract, swappable=self._answers.swapped is not None, turned=turned)
        feedings = {one.feeding for one in contracts}
        new = [one for one in geometry_contracts(start.contract, turned=turned) if one.feeding not in feedings]
        self._answers.plan(self._cost(len(contracts)) + self._cost(len(new)))
        values = self._round(contracts, "scale, colour and label order")
        best = self._better(start, [start, *values], len(contracts))
        for _ in range(_ROUNDS):
            geometry = geometry_contracts(best.contract, turned=turned)
            new = [one for one in geometry if one.feeding not in self._seen]
            better = self._better(best, self._round(new, "ways to resize"), len(new))
            if better is best:
                break
            best = better
        return best

    def _better(self, than: Evidence, candidates: list[Evidence], tried: int) -> Evidence:
        """The best supported of those that are clearly better; `than` itself if there is none.

        Args:
            tried: the contracts of the round, those screened out among them.
        """
        moved = [with_labels_moved(evidence) for evidence in candidates]
        both = [*candidates, *(evidence for evidence in moved if evidence)]
        knows = p_of_chance(than) < _CHANCE  # a model that knows nothing is too sure under every contract
        clear = [one for one in both if clearly_better(compare(than, one), tried, knows=knows)]
        return max(clear, key=lambda evidence: evidence.score(self._declared), default=than)

    def _round(self, contracts: list[Contract], doing: str) -> list[Evidence]:
        """The evidence on all photos; on a slow model of those contracts alone that did best on some of them."""
        self._seen |= {one.feeding for one in contracts}
        some = self._some(len(contracts))
        if len(some) < len(self._all):
            asked = self._answers.get(contracts, some, f"{doing}, on some photos")
            pairs = zip(contracts, asked, strict=True)
            screened = [self._evidence(contract, rows, some) for contract, rows in pairs]
            finalists = sorted(np.argsort([-self._promise(one) for one in screened])[:_FINALISTS])
            self._screened_out += [one for place, one in enumerate(contracts) if place not in finalists]
            contracts = [contracts[place] for place in finalists]
        return self._on_all(contracts, doing)

    def _promise(self, evidence: Evidence) -> float:
        moved = with_labels_moved(evidence)
        return max(one.score(self._declared) for one in (evidence, moved) if one)

    def _on_all(self, contracts: list[Contract], doing: str) -> list[Evidence]:
        answers = self._answers.get(contracts, self._all, doing)
        pairs = zip(contracts, answers, strict=True)
        evidence = [self._evidence(contract, rows, self._all) for contract, rows in pairs]
        return [self._known.setdefault(one.contract.feeding, one) for one in evidence]

    def _evidence(self, contract: Contract, answers: Floats, photos: Ints) -> Evidence:
        """The photos' classes are places among the declared labels; the contract may have them in another order."""
        labels = self._declared.card.labels
        read = gather(replace(contract, card=replace(contract.card, labels=labels)), answers, self._truth[photos])
        return read if contract.card.labels == labels else read_with(read, contract.card.labels)

    def _some(self, contracts: int) -> Ints:
        """As many photos of each class as so many contracts may be tried on in time."""
        affordable = _PATIENCE_SECONDS / max(contracts * self._answers.seconds_per_answer, 1e-9)
        classes = np.unique(self._truth)
        most = max(_SCREEN_PER_CLASS, int(affordable / len(classes)))
        places = [np.flatnonzero(self._truth == label) for label in classes]
        # spread over the folder: neighbours in it are often of one camera
        spread = [one[np.linspace(0, len(one) - 1, min(most, len(one))).astype(int)] for one in places]
        return np.sort(np.concatenate(spread))

    def _cost(self, contracts: int) -> int:
        some = len(self._some(contracts))
        return contracts * some + min(_FINALISTS, contracts) * (len(self._all) - some)


def clearly_better(comparison: Comparison, contracts: int, *, knows: bool) -> bool:
    """Whether a comparison with one of so many contracts is significant, and the effect worth an alarm."""
    level = _CHANCE / max(contracts, 1)
    more_right = comparison.p_accuracy < level and comparison.gain >= _GAIN
    surer = comparison.p_likelihood < level and comparison.p_mean < _LIKELY_MEAN and comparison.nats >= _NATS
    # as right, and as sure as it is right
    fitting = comparison.gain >= 0 and comparison.less_unsure >= TOO_SURE and comparison.nats_as_sure > -np.log(level)
    return more_right or (surer and comparison.gain >= _SMALL_GAIN) or (knows and fitting)
