"""Brings a model in: its file is read and proven, and lies with its card in MODELS_DIR, all of it or nothing."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

from shared.cards import Card
from shared.errors import OperatorError
from shared.models import MODEL_SUFFIXES
from shared.settings import Settings, is_bucket
from turno.models.cardfile import card_text
from turno.models.contract import Told, finished, in_options, proven_alike, settings_for
from turno.models.folders import CARD
from turno.models.proof import prove, prove_folder, scratch_folder

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")  # what `served_model_name` leaves as it is


def add_model(settings: Settings, source: str, name: str, labels: list[str], told: Told, *, anew: bool) -> Card:
    """The card of the model that now lies in MODELS_DIR.

    Args:
        source: a path, s3:// or gs://.
        anew: takes the place of a model of that name.

    Raises:
        OperatorError: the model cannot serve, or not as it was told; nothing is left behind.
    """
    target = require_free(settings, name, anew=anew)
    with scratch_folder(settings.models_dir, "adding") as scratch:
        file = _model_file(settings, source, scratch)
        if target.resolve() in file.resolve().parents:
            raise OperatorError(f"{source} lies in the folder that is to be replaced: move it elsewhere first.")
        try:
            proof = prove(settings_for(settings, file, labels, told, scratch / "state"))
        except OperatorError as error:
            raise OperatorError(in_options(str(error))) from error
        folder = scratch / name
        folder.mkdir()
        kept = _copy(file, folder)
        card = finished(proof.card, name, kept.name, labels, told)
        (folder / CARD).write_text(card_text(card, source, told.notes), encoding="utf-8")
        if not proven_alike(card, proof.card):
            proof = prove_folder(settings, folder, scratch / "again")
        card = replace(card, verified=proof.verified)
        (folder / CARD).write_text(card_text(card, source, told.notes), encoding="utf-8")
        _put(folder, target, scratch, anew=anew)
    return card


def require_free(settings: Settings, name: str, *, anew: bool) -> Path:
    """Where a new model of this name goes.

    Raises:
        OperatorError: no model can be called so, or one is already.
    """
    if not _NAME.fullmatch(name):
        raise OperatorError(
            f"--name is {name}; it takes letters, digits, '-', '_' and '.', and begins with none of these."
        )
    if name.endswith(MODEL_SUFFIXES):
        raise OperatorError(f"--name is {name}; a folder is called without {Path(name).suffix}.")
    target = settings.models_dir / name
    if target.exists() and not anew:
        raise OperatorError(
            f"There is a {name} in {settings.models_dir} already: give another --name, or --replace it."
        )
    return target


def _model_file(settings: Settings, source: str, scratch: Path) -> Path:
    """The model's file or folder on this machine, and never a pickle."""
    from worker.served import find_source

    if is_bucket(source):
        from worker.fetch import fetch_model

        fetched = {"model_path": source.rstrip("/"), "state_dir": scratch / "fetched"}
        file = fetch_model(settings.model_copy(update=fetched))
    else:
        file = Path(source)
    if not file.exists():
        raise OperatorError(f"There is nothing at {source}.")
    if find_source(settings.model_copy(update={"model_path": str(file)})).card:
        folder = file if file.is_dir() else file.parent
        raise OperatorError(
            f"{source} has a card of its own: copy the folder into {settings.models_dir}, "
            f"and prove it with `python -m turno models verify {folder.name}`."
        )
    if not _is_pickle(file):
        return file
    if not settings.model_allow_pickle:
        raise OperatorError(
            f"{source} is a pickle, and opening one runs whatever code its maker put in: only if you trust the maker "
            "as you trust this machine, give --allow-pickle."
        )
    from worker.readers import Unreadable
    from worker.readers.pickled import unpickle_to_keras

    folder = scratch / "unpickled"
    folder.mkdir()
    try:
        return unpickle_to_keras(file, folder)
    except Unreadable as error:
        raise OperatorError(f"{source} cannot be served: {error}.") from error


def _is_pickle(file: Path) -> bool:
    from worker.formats import Format, find_format
    from worker.readers import Unreadable

    try:
        return find_format(file) is Format.PICKLE
    except (Unreadable, OSError):  # will be said when it is prepared
        return False


def _copy(file: Path, folder: Path) -> Path:
    try:
        if file.is_dir():
            return Path(shutil.copytree(file, folder / "saved_model"))
        return Path(shutil.copyfile(file, folder / f"model{file.suffix.lower()}"))
    except OSError as error:
        raise OperatorError(f"The model cannot be copied to {folder.parent}: {error.strerror or error}.") from error


def _put(folder: Path, target: Path, scratch: Path, *, anew: bool) -> None:
    try:
        if anew and target.exists():
            target.rename(scratch / "former")  # goes with the scratch folder
        folder.rename(target)
    except OSError as error:
        raise OperatorError(f"{target} cannot be made: {error.strerror}.") from error
