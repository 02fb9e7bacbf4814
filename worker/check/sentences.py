"""The findings in words, for the person at the terminal."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from worker.check.answers import Answers
from worker.check.calibration import Calibration
from worker.check.contracts import RESHAPED, TRANSPOSED, Contract
from worker.check.evidence import ENOUGH_PHOTOS, Evidence, alike, compare, read_with, too_few
from worker.check.photos import LabelledPhotos
from worker.check.search import TOO_SURE, Findings
from worker.check.verdict import works

_TIMES_MAX: Final = 1_000_000  # beyond it nobody counts
_NAMED: Final = 5  # of a list of files; the rest is counted
_TOLD_APART: Final = 0.01
_ONE_ANSWER: Final = 0.95  # of all photos
# entries that are one question to the photos
_QUESTIONS: Final = {
    "scale": ("scale",),
    "colour order": ("color_order",),
    "width and height": ("layout",),
    "resizing": ("interpolation", "antialias"),
    "fit": ("fit",),
    "EXIF orientation": ("exif",),
}


def describe(findings: Findings, found: LabelledPhotos, answers: Answers, measured: Calibration) -> list[str]:
    """All there is to say, the photos first."""
    return [
        *_photos(found, answers),
        *(findings.known.told(findings.declared.contract) if findings.known else ()),
        *_declared(findings, answers),
        *_contract(findings),
        *_strength(findings, found),
        *_probabilities(findings, measured),
    ]


def _photos(found: LabelledPhotos, answers: Answers) -> Iterator[str]:
    if found.unknown:
        yield f"Ignored, for no label is called so: the folders {_list(found.unknown)}."
    if found.missing:
        yield f"No photos of {_list(found.missing)}: nothing is said about it, nor about its place among the labels."
    if answers.undecodable:
        yield f"Left out, for they cannot be decoded ({len(answers.undecodable)}): {_list(answers.undecodable, '; ')}."
    if found.doubled:
        many = len(found.doubled)
        yield f"Left out, for the same picture lies there twice ({many}): {_list(found.doubled)}."


def _declared(findings: Findings, answers: Answers) -> Iterator[str]:
    declared, counts = findings.declared, np.bincount(findings.declared.truth)
    places = np.unique(declared.truth)
    each = [f"{label} {recall:.2f} of {counts[place]}"
            for place, (label, recall) in zip(places, declared.recalls.items(), strict=True)]  # fmt: skip
    many = len(findings.tried) + len(findings.screened_out)
    yield (
        f"As declared, {len(declared.truth)} photos are answered with a balanced accuracy of {declared.balanced:.2f} "
        f"± {declared.whisker:.2f} ({', '.join(each)}); {many} contracts were tried."
    )
    spread = float(np.ptp(declared.probabilities, axis=0).max())
    answered = np.bincount(declared.probabilities.argmax(axis=1))
    if spread < 1e-4:
        yield "As declared, the model answers the same to every photo: nothing of them reaches its outputs."
    elif len(places) > 1 and answered.max() > _ONE_ANSWER * len(declared.truth):
        label = declared.contract.card.label_ids[int(answered.argmax())]
        yield f"As declared, the model answers {label} to {answered.max()} of {len(declared.truth)} photos."
    if answers.faults:
        yield f"{answers.faults} answers under the contracts tried could not be read: {answers.fault}"


def _contract(findings: Findings) -> Iterator[str]:
    declared, best, known = findings.declared, findings.best, findings.known
    if known and known.near and best.contract.feeding == known.contract.feeding:
        yield from _moved_labels(findings)
        yield from _no_card_says(best.contract)
        yield from _hopeless(best)
        yield f"Fed like that, the photos are answered with a balanced accuracy of {best.balanced:.2f}."
        return
    if known and known.near:
        yield (
            "The labelled photos contradict the recorded answers: the code that recorded them feeds the model "
            "otherwise than its training did."
        )
    yield from _supported(findings) if best is declared else _better(findings)
    if known and not known.near and best is not declared:
        yield "But this does not give the recorded answers either."


def _hopeless(evidence: Evidence) -> Iterator[str]:
    if not works(evidence):
        yield (
            "No contract tried makes the answers better than chance: the model does not know what these photos show, "
            "or the card is wrong in another way."
        )


def _better(findings: Findings) -> Iterator[str]:
    declared, best = findings.declared, findings.best
    comparison = compare(declared, best)
    too_sure = comparison.less_unsure >= TOO_SURE
    chance = max(min(comparison.p_accuracy, comparison.p_likelihood), 1 / _TIMES_MAX)
    how_sure = f" Chance would do that less than once in {1 / chance:,.0f} times." if chance < _TOLD_APART else ""
    yield (
        f"Another contract is clearly better: {best.contract.title(declared.contract)}, {best.balanced:.2f} instead of "
        f"{declared.balanced:.2f}.{how_sure}"
    )
    if too_sure:
        yield (
            f"As declared, the model is {'too sure' if declared.temperature > 1 else 'too unsure'} of its answers: a "
            f"temperature of {declared.temperature:.2g} would set them right, and there {best.temperature:.2g} does."
        )
    yield from _moved_labels(findings)
    changed = set(best.contract.changes(declared.contract))
    for question, entries in _QUESTIONS.items():
        if changed & set(entries):
            old, new = (_values(one.contract, entries) for one in (declared, best))
            without = _only_without(findings, entries)
            yield f"{question}: the photos support {new} ({best.balanced:.2f}) over {old} as declared ({without:.2f})."
            yield from _not_told_apart(findings, question, entries)
    yield from _no_card_says(best.contract)


def _no_card_says(contract: Contract) -> Iterator[str]:
    if contract.layout in (TRANSPOSED, RESHAPED):
        yield (
            f"The model wants its pictures {contract.value('layout')}, which no card can say: put that in front of it "
            "as a layer (Permute or Reshape), or train it anew."
        )


def _moved_labels(findings: Findings) -> Iterator[str]:
    old, new = findings.declared.contract.card.label_ids, findings.best.contract.card.label_ids
    left = [place for place in range(len(old)) if old[place] != new[place]]
    if not left:
        return
    straight = next(one for one in findings.tried if one.contract.feeding == findings.best.contract.feeding)
    while left:
        cycle = [left[0]]
        while (place := old.index(new[cycle[-1]])) != cycle[0]:
            cycle.append(place)
        left = [place for place in left if place not in cycle]
        cycle.sort()
        before, after = (
            float(np.mean([recall for label, recall in one.recalls.items() if old.index(label) in cycle] or [0.0]))
            for one in (straight, findings.best)
        )
        numbers, what = _list([str(place + 1) for place in cycle], many=99), "swapped" if len(cycle) == 2 else "moved"
        names = ", ".join(f"{old[place]} is {new[place]}" for place in cycle)
        yield f"labels {numbers} look {what} ({names}): {before:.2f} as declared, {after:.2f} {what}."


def _supported(findings: Findings) -> Iterator[str]:
    declared = findings.declared
    if not works(declared):
        yield from _hopeless(declared)
        return
    yield "No other contract is clearly better than the declared one."
    for question, entries in _QUESTIONS.items():
        others = _others(findings, entries)
        if not others:
            continue
        if not any(_indistinct(declared, other) for other in others):
            next_best = max(others, key=lambda one: one.balanced)
            yield (
                f"{question}: {_values(declared.contract, entries)} as declared ({declared.balanced:.2f}); the next "
                f"best, {_values(next_best.contract, entries)}, reaches {next_best.balanced:.2f}."
            )
        yield from _not_told_apart(findings, question, entries)


def _not_told_apart(findings: Findings, question: str, entries: tuple[str, ...]) -> Iterator[str]:
    best = findings.best
    same = [_values(one.contract, entries) for one in _others(findings, entries) if _indistinct(best, one)]
    if same:
        yield f"{question}: these photos cannot tell {_values(best.contract, entries)} from {_list(sorted(set(same)))}."


def _strength(findings: Findings, found: LabelledPhotos) -> Iterator[str]:
    few = too_few(findings.declared)
    if len(findings.declared.recalls) == 1:
        yield "All photos are of one label: a model that always answers it would look perfect. Add other labels."
    elif few:
        yield (
            f"The evidence is weak: fewer than {ENOUGH_PHOTOS} photos of {_list(few)}. Silence about an error means "
            "little; add photos."
        )
    if works(findings.best):
        for one, other in alike(findings.best):
            yield f"{one} and {other} are mixed up so often that these photos cannot tell whether they are swapped."


def _probabilities(findings: Findings, measured: Calibration) -> Iterator[str]:
    kinds = ", ".join(f"{many} {kind}" for kind, many in sorted(measured.kinds.items()))
    yield f"As declared they would be {kinds}; expected calibration error {measured.error:.2f}."
    if measured.temperature and findings.best is findings.declared and works(findings.best):
        yield f"A temperature of {measured.temperature:g} in the card would fit these photos better."


def _others(findings: Findings, entries: tuple[str, ...]) -> list[Evidence]:
    """What was tried that differs from the best in these entries only, read with the best one's labels."""
    best, labels, others = findings.best, findings.best.contract.card.labels, []
    for evidence in findings.tried:
        changes = {*evidence.contract.changes(best.contract)} - {"labels"}
        if changes and changes <= {*entries}:
            others.append(evidence if evidence.contract.card.labels == labels else read_with(evidence, labels))
    return others


def _only_without(findings: Findings, entries: tuple[str, ...]) -> float:
    """The balanced accuracy when only these entries are as declared."""
    old = _values(findings.declared.contract, entries)
    same = [one.balanced for one in _others(findings, entries) if _values(one.contract, entries) == old]
    return same[0] if same else findings.declared.balanced


def _values(contract: Contract, entries: tuple[str, ...]) -> str:
    if "antialias" not in entries:
        return contract.value(*entries)
    card = contract.card
    plain = card.interpolation == "nearest" and card.antialias  # which has nothing to average
    return card.interpolation if plain else f"{card.interpolation} with antialias {contract.value('antialias')}"


def _indistinct(best: Evidence, other: Evidence) -> bool:
    worse = compare(other, best)
    too_sure = worse.less_unsure >= TOO_SURE and worse.nats_as_sure >= -np.log(_TOLD_APART)
    return min(worse.p_accuracy, worse.p_likelihood) > _TOLD_APART and not too_sure


def _list(parts: list[str], between: str = ", ", many: int = _NAMED) -> str:
    more = f"{between}and {len(parts) - many} more" if len(parts) > many else ""
    return between.join(parts[:many]) + more
