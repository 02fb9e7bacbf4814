"""The reproduction: under which contract the model gives the recorded answers again.

Labels tell which contract is likelier; these tell which one it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from worker.check.answers import Answers, Show
from worker.check.contracts import Contract, geometry_contracts, value_contracts
from worker.check.evidence import Floats
from worker.check.recorded import Recorded
from worker.registry import ServedModel

_PATIENCE_SECONDS: Final = 300.0  # a step that would take longer is made with fewer photos, but
_FEWEST: Final = 3
_STEPS: Final = 8  # from a contract to those that differ in one entry
_NAMED: Final = 5
_SAME: Final = 1e-3  # of any probability: no contract that matters differs by less from the right one
_NEAR: Final = 0.02
_NOISE: Final = 1e-5  # what is nearer is no nearer: the order of sums


@dataclass(frozen=True, slots=True)
class Reproduction:
    """Which contract gives the recorded answers again."""

    photos: int
    contract: Contract  # under which they are nearest; the declared one, unless another is much nearer
    shift: float  # largest move of any probability under it
    declared_shift: float
    alike: list[str]  # what else gives the same numbers
    tried: int
    absent: int  # recorded answers whose photos are not here

    @property
    def near(self) -> bool:
        """Whether it is worth believing, exact or not: another library's resize moves answers by so much."""
        return self.shift <= _NEAR

    def told(self, declared: Contract) -> Iterator[str]:
        """What came of it, in words."""
        what = f"The recorded answers to {self.photos} photo{'s' if self.photos > 1 else ''}"
        title = self.contract.title(declared)
        if self.absent:
            yield f"Not here, or no image: the photos of {self.absent} recorded answers."
        if not self.near:
            yield (
                f"{what} are given again under none of {self.tried} contracts: they are {self.declared_shift:.2g} off "
                f"as declared, {self.shift:.2g} under the nearest ({title}). The author's code feeds the model in a "
                "way that was not tried, or they are answers of another model, or to other photos."
            )
            return
        exact = self.shift <= _SAME
        within = f"{'' if exact else 'nearly '}given again, within {self.shift:.2g}"
        if self.contract.feeding == declared.feeding:
            yield f"{what} are {within}, as declared."
        else:
            yield f"{what} are {within}, with {title}; as declared they are up to {self.declared_shift:.2g} off."
        if not exact:
            yield (
                "No contract gives them exactly: the author's code resizes with another library, computes in float16, "
                "or does something that no card says."
            )
        if exact and self.alike:
            yield (
                f"These photos give the same numbers with {', '.join(self.alike[:_NAMED])}: to tell, add photos of "
                "other sizes and formats, and such that the model is unsure of."
            )


def reproduce(model: ServedModel, recorded: Recorded, show: Show, swapped: ServedModel | None) -> Reproduction:
    """Looks for the contract under which the model gives the recorded answers again."""
    declared = Contract(model.card)
    answers = Answers(model, recorded.photos, show, swapped)
    answers.plan(len(recorded.photos))
    answers.first(declared)
    kept = [recorded.photos.index(photo) for photo in answers.photos]
    absent = recorded.absent + len(recorded.photos) - len(kept)
    return _Comparer(answers, recorded.probabilities[kept], declared).run(absent)


class _Comparer:
    def __init__(self, answers: Answers, recorded: Floats, declared: Contract) -> None:
        self._answers, self._recorded, self._declared = answers, recorded, declared
        self._tried: list[Contract] = []
        self._shifts: dict[tuple[Any, ...], Floats] = {}  # by feeding, (photos,): largest of each photo's

    def run(self, absent: int) -> Reproduction:
        self._tried = [self._declared]
        self._shifts[self._declared.feeding] = self._ask([self._declared], len(self._answers.photos))[0]
        changed: set[tuple[Any, ...]] = set()
        for _ in range(_STEPS):  # always from the nearest one that was not changed yet
            nearest = min((one for one in self._tried if one.feeding not in changed), key=self._mean)
            if self._mean(self._nearest) == _NOISE and self._nearest.feeding in changed:
                break
            changed.add(nearest.feeding)
            self._measure(self._one_change_away(nearest))
        nearest = self._nearest
        self._answers.plan(len(self._answers.photos) - len(self._shifts[nearest.feeding]))
        of_declared, of_nearest = self._ask([self._declared, nearest], len(self._answers.photos))
        if of_declared.max() <= _SAME or of_declared.mean() <= 2 * of_nearest.mean():
            nearest, of_nearest = self._declared, of_declared
        same = max(_SAME, float(of_nearest.max()))
        alike = [
            one for one in self._tried if one.feeding != nearest.feeding and self._shifts[one.feeding].max() <= same
        ]
        return Reproduction(
            photos=len(of_nearest),
            contract=nearest,
            shift=float(of_nearest.max()),
            declared_shift=float(of_declared.max()),
            alike=[one.title(nearest) for one in alike],
            tried=len(self._tried),
            absent=absent,
        )

    @property
    def _nearest(self) -> Contract:
        """The first of those that are equally near, which has the fewest changes."""
        return min(self._tried, key=self._mean)

    def _one_change_away(self, contract: Contract) -> list[Contract]:
        turned, swappable = self._answers.turned, self._answers.swapped is not None
        made = {
            one.feeding: one
            for one in (
                *value_contracts(contract, swappable=swappable, turned=turned),
                *geometry_contracts(contract, turned=turned, every=True),
            )
        }
        return [one for feeding, one in made.items() if feeding not in self._shifts]

    def _measure(self, contracts: list[Contract]) -> None:
        affordable = int(_PATIENCE_SECONDS / max(len(contracts) * self._answers.seconds_per_answer, 1e-9))
        some = min(len(self._answers.photos), max(_FEWEST, affordable))
        self._answers.plan(len(contracts) * some)
        for contract, shifts in zip(contracts, self._ask(contracts, some), strict=True):
            self._shifts[contract.feeding] = shifts
        self._tried += contracts

    def _ask(self, contracts: list[Contract], photos: int) -> list[Floats]:
        """How far each of the first photos' answers is from the recorded one, by contract."""
        found = self._answers.get(contracts, np.arange(photos), "the recorded answers")
        return [np.abs(answers - self._recorded[:photos]).max(axis=1) for answers in found]

    def _mean(self, contract: Contract) -> float:
        return max(_NOISE, float(self._shifts[contract.feeding].mean()))
