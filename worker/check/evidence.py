"""What the photos say of one contract, and of two: paired comparisons, never a glance at two means."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from shared.cards import Label
from worker.check.contracts import Contract

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_TEMPERATURES: Final = np.geomspace(0.02, 20, 41)
_BLUNDERS: Final = 0.02  # share of answers that may be anything: bounds what one photo can say, and clips the logarithm
_SLIPS: Final = 0.001  # the same where it counts how sure an answer is
_SMALLEST: Final = 1e-12
_SHUFFLES: Final = 2000
# of labels moved by chance; times the number of such moves that are possible (Bonferroni)
MOVED_BY_CHANCE: Final = 0.01
# of moved labels' photos that have to be answered by the new names: on a crop or camera that it never saw, a model
# that knows little mixes some labels up more often than not (seen: 0.2 by the old, 0.5 by the new name)
_MOSTLY: Final = 0.6
_CONFIDENCE: Final = 1.96
# of a class: with so many each planted error of scale, colour and labels was found; of the resize filters not each
ENOUGH_PHOTOS: Final = 20


@dataclass(frozen=True, slots=True)
class Evidence:
    """The answers under one contract, by photo; probabilities in the order of the contract's labels."""

    contract: Contract
    probabilities: Floats  # (photos, labels), as the model gave them
    truth: Ints  # (photos,), places among the contract's labels
    log_likelihoods: Floats  # (photos,) of the true class, at the best temperature
    as_sure: Floats  # (photos,) the same, as sure as the model is
    temperature: float
    moves: float = 1.0  # label orders that would have been tried for this one

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which photos were answered with their class."""
        right: npt.NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.truth
        return right

    @property
    def recalls(self) -> dict[str, float]:
        """The share of right answers, by label that has photos."""
        right, ids = self.right, self.contract.card.label_ids
        return {ids[label]: float(right[self.truth == label].mean()) for label in np.unique(self.truth)}

    @property
    def balanced(self) -> float:
        """Balanced accuracy: the mean of the recalls."""
        return float(np.mean(list(self.recalls.values())))

    @property
    def whisker(self) -> float:
        """Half of the 95 % interval of the balanced accuracy, Wilson's width in each class."""
        halves = []
        for label, recall in zip(np.unique(self.truth), self.recalls.values(), strict=True):
            many = int((self.truth == label).sum())
            room = _CONFIDENCE**2 / (4 * many)
            halves.append(_CONFIDENCE * np.sqrt((recall * (1 - recall) + room) / many) / (1 + 4 * room / many))
        return float(np.sqrt(np.square(halves).sum()) / len(halves))

    @property
    def confusion(self) -> Ints:
        """Photos by true class (row) and answer (column)."""
        table = np.zeros((self.probabilities.shape[1],) * 2, np.int64)
        np.add.at(table, (self.truth, self.probabilities.argmax(axis=1)), 1)
        return table

    @property
    def unsureness(self) -> float:
        """How far the temperature is from 1, as a logarithm; a model is trained to be as sure as it is right."""
        return abs(float(np.log(self.temperature)))

    def score(self, declared: Contract) -> float:
        """The likelihood with a price: two nats a change, what a label order was picked from, an odd temperature."""
        changes = [change for change in self.contract.changes(declared) if change != "labels"]
        price = 2 * len(changes) + float(np.log(self.moves)) + self.unsureness**2 / 2
        return float(self.log_likelihoods.sum()) - price


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much better one contract is than another on the same photos, and how likely that is mere chance."""

    gain: float  # of balanced accuracy
    nats: float  # of the true class's mean log-likelihood
    p_accuracy: float  # exact McNemar, one-sided
    p_likelihood: float  # Wilcoxon's signed ranks, one-sided: a small shift of many photos counts
    p_mean: float  # paired t test, one-sided: but not one that a few photos undo
    nats_as_sure: float  # of all photos, as sure as the model is
    less_unsure: float  # difference of the unsureness


def gather(contract: Contract, probabilities: Floats, truth: Ints, moves: float = 1.0) -> Evidence:
    """The evidence in the answers under a contract.

    The temperature is fitted anew for each contract, so that none wins or loses by being too sure of itself.
    """
    logs = np.log(np.maximum(probabilities, _SMALLEST))
    best, at = max(
        ((_likelihoods(logs, truth, float(temperature)), float(temperature)) for temperature in _TEMPERATURES),
        key=lambda tried: tried[0].sum(),
    )
    return Evidence(contract, probabilities, truth, best, _likelihoods(logs, truth, 1.0, _SLIPS), at, moves)


def _likelihoods(logs: Floats, truth: Ints, temperature: float, anything: float = _BLUNDERS) -> Floats:
    """The logarithms of the true classes' probabilities, of which a share may be `anything`."""
    powers = logs / temperature
    powers -= powers.max(axis=1, keepdims=True)
    shares = np.exp(powers)
    true = shares[np.arange(len(truth)), truth] / shares.sum(axis=1)
    likelihoods: Floats = np.log((1 - anything) * true + anything / logs.shape[1])
    return likelihoods


def compare(worse: Evidence, better: Evidence) -> Comparison:
    """How sure it is that `better` is better than `worse`."""
    gained, lost = int((better.right & ~worse.right).sum()), int((worse.right & ~better.right).sum())
    differences = better.log_likelihoods - worse.log_likelihoods
    p_likelihood = p_mean = 1.0
    if len(differences) > 1 and np.ptp(differences) > 0:
        p_likelihood = float(stats.wilcoxon(differences, alternative="greater").pvalue)
        p_mean = float(stats.ttest_1samp(differences, 0, alternative="greater").pvalue)
    return Comparison(
        better.balanced - worse.balanced,
        float(differences.mean()),
        float(stats.binomtest(gained, gained + lost, alternative="greater").pvalue) if gained + lost else 1.0,
        p_likelihood,
        p_mean,
        float((better.as_sure - worse.as_sure).sum()),
        worse.unsureness - better.unsureness,
    )


def p_of_chance(evidence: Evidence) -> float:
    """How often answers that have nothing to do with the photos are as good as these."""
    random, answers, truth = np.random.default_rng(0), evidence.probabilities.argmax(axis=1), evidence.truth
    weights = (1 / np.bincount(truth, minlength=evidence.probabilities.shape[1]).clip(1))[truth]
    reached = float((weights * (answers == truth)).sum())
    lucky = sum((weights * (random.permutation(answers) == truth)).sum() >= reached - 1e-9 for _ in range(_SHUFFLES))
    return float(1 + lucky) / (1 + _SHUFFLES)


def too_few(evidence: Evidence) -> list[str]:
    """The labels with photos, but not enough of them; all of them where there is but one."""
    ids, counts = evidence.contract.card.label_ids, np.bincount(evidence.truth, minlength=1)
    seen = np.flatnonzero(counts)
    return [ids[label] for label in seen if counts[label] < ENOUGH_PHOTOS or len(seen) == 1]


def with_labels_moved(evidence: Evidence) -> Evidence | None:
    """The same answers read with the labels in the order that fits best; None when the order as it is fits.

    Each cycle of labels that changed places has to be significant by itself: each of its labels is answered more
    often by the new name than by the old one, and the photos of all together are too many for chance.
    """
    confusion = evidence.confusion
    shares = confusion / confusion.sum(axis=1, keepdims=True).clip(1)
    outputs = optimize.linear_sum_assignment(shares + 1e-6 * np.eye(len(shares)), maximize=True)[1]
    order, moves = list(range(len(shares))), 1.0  # order[output] is the label that it means
    for cycle in _cycles(outputs):
        many = _ways(len(shares), len(cycle))
        if _moved(confusion, outputs, cycle) * many < MOVED_BY_CHANCE:
            moves *= many
            for label in cycle:
                order[outputs[label]] = label
    if order == list(range(len(shares))):
        return None
    labels = evidence.contract.card.labels
    return read_with(evidence, tuple(labels[label] for label in order), moves)


def read_with(evidence: Evidence, labels: tuple[Label, ...], moves: float = 1.0) -> Evidence:
    """The same answers read with the labels in another order."""
    contract = replace(evidence.contract, card=replace(evidence.contract.card, labels=labels))
    places = np.array([contract.card.label_ids.index(label) for label in evidence.contract.card.label_ids])
    return gather(contract, evidence.probabilities, places[evidence.truth], moves)


def alike(evidence: Evidence) -> list[tuple[str, str]]:
    """Pairs of labels whose places the photos do not tell: swapped, the answers would be about as right."""
    confusion, ids, pairs = evidence.confusion, evidence.contract.card.label_ids, []
    for one in range(len(ids)):
        for other in range(one + 1, len(ids)):
            straight = confusion[one, one] + confusion[other, other]
            crossed = confusion[one, other] + confusion[other, one]
            total = int(straight + crossed)
            both = confusion[one].sum() and confusion[other].sum()
            if both and (not total or stats.binomtest(int(straight), total, alternative="greater").pvalue > 0.05):
                pairs.append((ids[one], ids[other]))
    return pairs


def _moved(confusion: Ints, outputs: Ints, cycle: list[int]) -> float:
    """How likely it is chance that these labels are answered by each other's names."""
    new = [int(confusion[label, outputs[label]]) for label in cycle]
    old = [int(confusion[label, label]) for label in cycle]
    seen = [place for place, label in enumerate(cycle) if confusion[label].sum()]
    if not seen or any(new[place] <= old[place] for place in seen):
        return 1.0
    if np.mean([new[place] / confusion[cycle[place]].sum() for place in seen]) < _MOSTLY:
        return 1.0
    return float(stats.binomtest(sum(new), sum(new) + sum(old), alternative="greater").pvalue)


def _ways(labels: int, length: int) -> float:
    """How many cycles of that length there are among so many labels."""
    return float(np.prod([labels - place for place in range(length)], dtype=np.float64)) / length


def _cycles(outputs: Ints) -> list[list[int]]:
    """The cycles of a permutation that move anything."""
    left, cycles = set(range(len(outputs))), []
    while left:
        cycle, label = [], min(left)
        while label in left:
            left.discard(label)
            cycle.append(label)
            label = int(outputs[label])
        if len(cycle) > 1:
            cycles.append(cycle)
    return cycles
