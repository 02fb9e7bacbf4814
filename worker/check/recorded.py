"""The notebook's own answers: what the author's code got for some photos.

Labels tell which contract is likelier. Recorded answers tell which it was: under it the model gives them again.
"""

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from shared.cards import Card
from shared.errors import ModelFault, OperatorError
from worker.check.answers import Answers, Show
from worker.check.contracts import Contract, geometry_contracts, value_contracts
from worker.check.evidence import Floats
from worker.check.photos import Photo
from worker.interpretation import class_probabilities
from worker.registry import ServedModel

_MOST: Final = 24  # photos; the most unsure ones, whose numbers move first
_PATIENCE_SECONDS: Final = 300.0  # a round that would take longer takes fewer of them
_FEWEST: Final = 3
_STEPS: Final = 8
_NAMED: Final = 5
_SAME: Final = 1e-3  # of any probability: no contract that matters differs by less from the right one


@dataclass(frozen=True, slots=True)
class Recorded:
    """Photos, and the author's probabilities for them, (photos, labels)."""

    photos: list[Photo]
    probabilities: Floats


@dataclass(frozen=True, slots=True)
class Reproduction:
    """Which contract gives the recorded answers again."""

    photos: int
    contract: Contract  # under which they are nearest; the declared one, unless another is much nearer
    shift: float  # largest move of any probability under it
    declared_shift: float
    alike: list[str]  # what else gives the same numbers
    tried: int
    exact: bool  # as exact as golden images have to be

    def told(self, declared: Contract) -> Iterator[str]:
        """What came of it, in words."""
        what = f"The recorded answers to {self.photos} photo{'s' if self.photos > 1 else ''}"
        title = self.contract.title(declared)
        if not self.exact:
            yield (
                f"{what} are given again under none of {self.tried} contracts: they are {self.declared_shift:.2g} off "
                f"as declared, {self.shift:.2g} under the nearest ({title}). The author's code feeds the model in a "
                "way that was not tried, or they are answers of another model, or to other photos."
            )
            return
        if self.contract.feeding == declared.feeding:
            yield f"{what} are given again, within {self.shift:.2g}: the model is fed as by the author's code."
        else:
            yield (
                f"{what} are given again, within {self.shift:.2g}, with {title}: that is how the author's code feeds "
                f"the model. As declared they are up to {self.declared_shift:.2g} off."
            )
        if self.alike:
            yield (
                f"These photos give the same numbers with {', '.join(self.alike[:_NAMED])}: to tell, add photos of "
                "other sizes and formats, and such that the model is unsure of."
            )


def read_recorded(file: Path, images: Path, card: Card) -> Recorded:
    """The recorded answers to photos that lie below a folder.

    Args:
        file: JSON, `{"rust/IMG_1.jpg": [0.1, 0.9], …}`: what `model.predict` gave, by the photo's path, of which as
            much is looked at as it takes to find the photo.

    Raises:
        OperatorError: it is no such file, or not of these photos and this model.
    """
    rows, places = _read(file), _by_name(images)
    photos, probabilities = [], []
    for name, outputs in rows.items():
        if not (path := _find(name, places, images)):
            continue
        try:
            row = class_probabilities(np.asarray(outputs, np.float32).ravel(), card)
        except (ModelFault, TypeError, ValueError, OverflowError) as error:
            why = error.detail if isinstance(error, ModelFault) else "It is no list of numbers."
            raise OperatorError(
                f"{file}: the answer to {name} is none of {card.name}: {why} Record what model.predict gave, as it is."
            ) from error
        photos.append(Photo(path, 0))
        probabilities.append(row)
    if not photos:
        raise OperatorError(f"{file}: none of its {len(rows)} photos lies in {images}; {next(iter(rows))!r} does not.")
    unsure = np.argsort([row.max() for row in probabilities], kind="stable")[:_MOST]
    return Recorded([photos[place] for place in unsure], np.array([probabilities[place] for place in unsure]))


def reproduce(model: ServedModel, recorded: Recorded, show: Show, swapped: ServedModel | None) -> Reproduction:
    """Looks for the contract under which the model gives the recorded answers again."""
    declared = Contract(model.card)
    answers = Answers(model, recorded.photos, show, swapped)
    answers.plan(len(recorded.photos))
    answers.first(declared)
    kept = [recorded.photos.index(photo) for photo in answers.photos]
    return _Comparer(answers, recorded.probabilities[kept], declared).run()


class _Comparer:
    def __init__(self, answers: Answers, recorded: Floats, declared: Contract) -> None:
        self._answers, self._recorded, self._declared = answers, recorded, declared
        self._tried: list[Contract] = []
        self._shifts: dict[tuple[Any, ...], Floats] = {}  # by feeding, (photos,): largest of each photo's

    def run(self) -> Reproduction:
        self._measure([self._declared])
        changed: set[tuple[Any, ...]] = set()
        for _ in range(_STEPS):  # always from the nearest one that was not changed yet
            nearest = min((one for one in self._tried if one.feeding not in changed), key=self._mean)
            if self._mean(self._nearest) < _SAME / 10 and self._nearest.feeding in changed:
                break
            changed.add(nearest.feeding)
            self._measure(self._one_change_away(nearest))
        nearest = self._nearest
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
            exact=bool(of_nearest.max() <= 2 * self._declared.card.tolerance),
        )

    @property
    def _nearest(self) -> Contract:
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
        return float(self._shifts[contract.feeding].mean())


def _read(file: Path) -> dict[str, list[float]]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OperatorError(f"{file} cannot be read as JSON: {error}.") from error
    if not isinstance(rows, dict) or not rows:
        raise OperatorError(
            f'{file} has to be a JSON object of photos and their answers: {{"rust/1.jpg": [0.1, 0.9]}}.'
        )
    return rows


def _by_name(images: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(images.rglob("*")):
        if path.is_file():
            found.setdefault(_parts(path.name)[-1], []).append(path)
    return found


def _find(name: str, places: dict[str, list[Path]], images: Path) -> Path | None:
    """The one photo whose path ends like this; notebooks name photos by other folders than the one that is here."""
    wanted = _parts(name)
    found = places.get(wanted[-1], []) if wanted else []
    if len(found) < 2:
        return found[0] if found else None
    alike = [_common(_parts(str(path)), wanted) for path in found]
    if alike.count(max(alike)) > 1:
        raise OperatorError(f"{name} may be any of {len(found)} photos in {images}: name it with its folder.")
    return found[alike.index(max(alike))]


def _parts(name: str) -> tuple[str, ...]:
    """Folders and name, as Windows separates them, too; macOS takes accents apart."""
    return PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")).parts


def _common(path: tuple[str, ...], wanted: tuple[str, ...]) -> int:
    """How many parts agree, from the end."""
    pairs = list(zip(reversed(path), reversed(wanted), strict=False))
    return next((place for place, (one, other) in enumerate(pairs) if one != other), len(pairs))
