"""Prepares a model anew, in a place of its own, and says what that proved."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shared.cards import Card, card_from_dict
from shared.errors import OperatorError
from shared.settings import Settings
from turno.models.cardfile import today

_EVIDENCE: Final = ("engine", "precision", "largest_shift", "images", "golden", "library", "versions")
_REMARKS: Final = ("notes", "warnings")  # what was repaired to serve it, and what is likely wrong


@dataclass(frozen=True, slots=True)
class Proof:
    """A model that serves: its card, what goes into the card's [verified], and where it lies prepared."""

    card: Card
    verified: dict[str, Any]
    prepared: Path


def prove(settings: Settings) -> Proof:
    """Prepares the model at `settings.model_path`.

    Raises:
        OperatorError: it cannot serve; the sentence says why.
    """
    from worker.prepare import prepare_served_model
    from worker.registry import PREPARED

    try:
        folder = prepare_served_model(settings)
        document = json.loads((folder / PREPARED).read_text())
    except OSError as error:
        raise OperatorError(f"The model cannot be prepared: {error.strerror or error} ({error.filename}).") from error
    verified = {"at": today(), **{key: document[key] for key in _EVIDENCE}}
    verified |= {key: document[key] for key in _REMARKS if document[key]}
    return Proof(card_from_dict(document["card"]), verified, folder)


def prove_folder(settings: Settings, folder: Path, scratch: Path) -> Proof:
    """Prepares the model of a folder; nothing that was prepared before is believed, and a start takes the result.

    Raises:
        OperatorError: it cannot serve, or not with its card.
    """
    mirror = scratch / "model" / folder.resolve().name
    mirror.mkdir(parents=True)
    for entry in folder.resolve().iterdir():
        if entry.name != "prepared":  # what a `turno prepare --beside` left
            (mirror / entry.name).symlink_to(entry)
    update = {"model_path": str(mirror), "state_dir": scratch / "state"}
    proof = prove(settings.model_copy(update=update))
    with contextlib.suppress(OSError):  # there already, or on another disk: then the start prepares it once more
        settings.cache_dir.mkdir(parents=True, exist_ok=True)
        proof.prepared.rename(settings.cache_dir / proof.prepared.name)
    return proof


@contextmanager
def scratch_folder(parent: Path, purpose: str) -> Iterator[Path]:
    """A folder below `parent` that is gone at the end.

    Raises:
        OperatorError: nothing can be written there.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=f".{purpose}-", dir=parent)
    except OSError as error:
        raise OperatorError(f"Nothing can be written to {parent}: {error.strerror}.") from error
    with scratch as folder:
        yield Path(folder)
