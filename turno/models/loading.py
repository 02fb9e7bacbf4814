"""Loads a model as it would serve, for those who ask it about many photos."""

import json
from dataclasses import replace
from pathlib import Path

from shared.errors import OperatorError
from shared.logs import get_logger
from shared.models import served_model_name
from shared.settings import Settings
from turno.models.cardfile import card_text
from turno.models.folders import CARD, Kept
from worker.prepare import prepare_served_model
from worker.registry import PREPARED, ServedModel, load_served_model, prepared_folder

log = get_logger(__name__)


def load(found: Kept, settings: Settings) -> ServedModel:
    """The model, prepared first.

    Raises:
        OperatorError: it cannot serve.
    """
    return _prepared(_beside_what_is_served(found, settings))


def load_swapped(found: Kept, settings: Settings, scratch: Path) -> ServedModel | None:
    """The same model, prepared before, with width and height exchanged; None where it takes no such pictures."""
    card = found.card
    assert card
    own = _beside_what_is_served(found, settings)
    prepared = prepared_folder(own, served_model_name(own))
    if card.width_px == card.height_px or not json.loads((prepared / PREPARED).read_text())["any_size"]:
        return None
    log.info("once more, with width and height exchanged", model=found.name)
    link = scratch / found.name / card.file
    link.parent.mkdir(parents=True)
    link.symlink_to((found.folder / card.file).resolve())
    swapped = replace(card.contract, width_px=card.height_px, height_px=card.width_px)
    (scratch / found.name / CARD).write_text(card_text(swapped, str(found.folder), {}), encoding="utf-8")
    settings = settings.model_copy(update={"model_path": str(scratch / found.name), "state_dir": scratch})
    try:
        return _prepared(settings)
    except OperatorError as error:  # or there is no room for two: the check goes on without
        log.warning("not tried with width and height exchanged", model=found.name, why=str(error))
        return None


def _prepared(settings: Settings) -> ServedModel:
    prepare_served_model(settings)
    return load_served_model(settings)


def _beside_what_is_served(found: Kept, settings: Settings) -> Settings:
    """What is prepared is what `turno up` takes then, unless another model of this name is served."""
    alike = served_model_name(settings) == found.name and not found.served
    state = settings.state_dir / "checking" if alike else settings.state_dir
    return settings.model_copy(update={"model_path": str(found.folder), "state_dir": state})
