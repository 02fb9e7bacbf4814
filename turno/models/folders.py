"""The model folders below MODELS_DIR: which there are, and what is known of each."""

import difflib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shared.cards import Card, CardError, load_card
from shared.errors import OperatorError
from shared.settings import Settings, is_bucket

CARD = "card.toml"
PROVEN = ("verified", "checked")  # the card's tables that the commands of the same purpose write


@dataclass(frozen=True, slots=True)
class Kept:
    """A model folder; the card is None where it cannot be used, and `fault` says why."""

    name: str
    folder: Path
    card: Card | None
    fault: str
    size_bytes: int
    served: bool

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        card = asdict(self.card) if self.card else None
        facts = {"name": self.name, "folder": str(self.folder), "served": self.served, "size_bytes": self.size_bytes}
        return {**facts, "fault": self.fault or None, "card": card}


def every_model(settings: Settings) -> list[Kept]:
    """The models of MODELS_DIR, by name."""
    folders = settings.models_dir.glob(f"*/{CARD}")
    return [look_at(settings, path.parent) for path in sorted(folders) if not path.parent.name.startswith(".")]


def look_at(settings: Settings, folder: Path) -> Kept:
    """What a model folder holds."""
    try:
        card, fault = load_card(folder / CARD), ""
    except CardError as error:
        return Kept(folder.resolve().name, folder, None, str(error), 0, _is_served(settings, folder, None))
    file = folder / card.file
    if not file.exists():
        fault = f"The card names {card.file}, and there is no such file in {folder}."
    return Kept(folder.resolve().name, folder, card, fault, _size(file), _is_served(settings, folder, card))


def require_model(settings: Settings, name: str) -> Kept:
    """The model of that name in MODELS_DIR, or in the folder of that path.

    Raises:
        OperatorError: there is none, or its card or file cannot be used.
    """
    folder = next((place for place in (settings.models_dir / name, Path(name)) if (place / CARD).exists()), None)
    if folder is None:
        raise OperatorError(_absent(settings, name))
    found = look_at(settings, folder)
    if found.fault:
        raise OperatorError(found.fault)
    return found


def _absent(settings: Settings, name: str) -> str:
    if Path(name).exists():
        return f"{name} has no {CARD}: `python -m turno models add {name} --labels … --name …` makes a model of it."
    known = [one.name for one in every_model(settings)]
    near = difflib.get_close_matches(name, known, 1)
    there = f"did you mean {near[0]}?" if near else f"it has {', '.join(known) or 'no model'}."
    return f"There is no model {name} in {settings.models_dir}; {there}"


def _is_served(settings: Settings, folder: Path, card: Card | None) -> bool:
    if is_bucket(settings.model_path):
        return False
    served = Path(settings.model_path).resolve()
    return served in (folder.resolve(), (folder / card.file).resolve() if card else None)


def _size(file: Path) -> int:
    files = [file] if file.is_file() else [one for one in file.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)
