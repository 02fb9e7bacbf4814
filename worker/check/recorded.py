"""The notebook's own answers: what the author's code got for some photos."""

import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from shared.cards import Card
from shared.errors import ModelFault, OperatorError
from worker.check.evidence import Floats
from worker.check.photos import Photo
from worker.interpretation import class_probabilities

_MOST: Final = 24  # photos; the most unsure ones, whose numbers move first


@dataclass(frozen=True, slots=True)
class Recorded:
    """Photos, and the author's probabilities for them, (photos, labels)."""

    photos: list[Photo]
    probabilities: Floats


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
