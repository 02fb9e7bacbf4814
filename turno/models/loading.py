"""Loads a model as it would serve, for those who ask it about many photos."""

import json
from dataclasses import replace
from pathlib import Path

from shared.models import served_model_name
from shared.settings import Settings
from turno.models.cardfile import card_text
from turno.models.folders import CARD, Kept
from worker.prepare import prepare_served_model
from worker.registry import PREPARED, ServedModel, load_served_model


def load(found: Kept, settings: Settings) -> ServedModel:
    """The model, prepared first.

    Raises:
        OperatorError: it cannot serve.
    """
    settings = _beside_what_is_served(found, settings)
    prepare_served_model(settings)
    return load_served_model(settings)


def load_swapped(found: Kept, settings: Settings, scratch: Path) -> ServedModel | None:
    """The same model with width and height exchanged; None where it is square, or made for one size.

    Raises:
        OperatorError: it cannot serve.
    """
    prepared = prepare_served_model(_beside_what_is_served(found, settings))
    card = found.card
    if not card or card.width_px == card.height_px or not json.loads((prepared / PREPARED).read_text())["any_size"]:
        return None
    folder = scratch / found.name
    folder.mkdir()
    (folder / card.file).symlink_to((found.folder / card.file).resolve())
    swapped = replace(card.contract, width_px=card.height_px, height_px=card.width_px)
    (folder / CARD).write_text(card_text(swapped, str(found.folder), {}), encoding="utf-8")
    settings = settings.model_copy(update={"model_path": str(folder), "state_dir": scratch})
    prepare_served_model(settings)
    return load_served_model(settings)


def _beside_what_is_served(found: Kept, settings: Settings) -> Settings:
    """What is prepared is what `turno up` takes then, unless another model of this name is served."""
    alike = served_model_name(settings) == found.name and not found.served
    state = settings.state_dir / "checking" if alike else settings.state_dir
    return settings.model_copy(update={"model_path": str(found.folder), "state_dir": state})
