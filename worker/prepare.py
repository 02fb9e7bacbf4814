"""`turno prepare`: converts the served model once, proves it against its author's framework, and keeps the result.

Every later start loads `<state>/prepared/<key>/` and needs no TensorFlow. The key is made of the file's
digest, the card and the versions of the runtimes, so that a change of any of them prepares anew.
"""

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from shared.cards import card_from_dict
from shared.errors import OperatorError
from shared.logs import get_logger
from shared.models import served_model_name
from shared.settings import Settings, is_bucket
from worker.conversion import CONVERTED, SAVED_MODEL, TFLITE, export_with_tensorflow, translate_for_openvino
from worker.footprint import loading_with_tensorflow, require_memory
from worker.formats import Format, find_format
from worker.readers import Unreadable
from worker.registry import PREPARED, point_to
from worker.served import Source, file_digest, find_source

log = get_logger(__name__)

_FORMAT = 4  # of the prepared folder: one more makes every model be prepared anew
_RUNTIMES = ("openvino", "tensorflow", "keras", "tf-keras")
_ELSEWHERE = "prepare it on a larger machine with `turno prepare --beside`, and bring here what that leaves"
_CARD_SETTINGS = (
    "labels", "image_width_px", "image_height_px", "model_scale", "model_interpolation", "model_antialias", "model_fit",
    "model_activation", "model_color_order", "model_exif", "model_jpeg_decoder",
)  # fmt: skip


def prepare_served_model(settings: Settings, *, beside: bool = False) -> Path:
    """The folder with the prepared model, made now unless it was made before, here or beside the model.

    Args:
        beside: puts it beside the model, too, so that a machine that gets both needs no TensorFlow to start.

    Raises:
        OperatorError: the model or its card cannot be served; the sentence says why.
    """
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.cache_dir / f"{served_model_name(settings)}.lock"):
        if is_bucket(settings.model_path):
            from worker.fetch import fetch_model  # brings in obstore, which a path does not need

            settings = settings.model_copy(update={"model_path": str(fetch_model(settings))})
        source = find_source(settings)
        log.info("reading the model", model=source.name, file=str(source.file))
        _require_format(source, settings)
        digest = file_digest(source.file)
        if source.card and source.card.sha256 not in ("", digest):
            raise OperatorError(
                f"The card of {source.name} was written for another file than {source.file.name}: if the new file "
                f'keeps the same contract, set sha256 = "{digest}" in its card.toml, else write a card for it.'
            )
        folder = settings.cache_dir / _key(source, digest, settings)
        shipped = source.file.parent / "prepared" / folder.name
        if not (folder / PREPARED).exists():
            if (shipped / PREPARED).exists():
                _copy_whole(shipped, folder)
                log.info("taken as it was prepared elsewhere", model=source.name)
            else:
                _prepare(source, digest, folder, settings)
        _renew_findings(folder / PREPARED, source)
        point_to(settings.cache_dir, source.name, folder)
        if beside and not shipped.exists():
            _copy_whole(folder, shipped)
    return folder


def _copy_whole(folder: Path, target: Path) -> None:
    try:
        target.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{target.name}.copying-", dir=target.parent) as scratch:
            copied = shutil.copytree(folder, Path(scratch) / target.name)
            copied.rename(target)  # at once: a folder under this name is always whole
    except OSError as error:
        raise OperatorError(f"The prepared model cannot be copied to {target}: {error.strerror}.") from error


def _require_format(source: Source, settings: Settings) -> None:
    """Passes what can be read, and what runs its maker's code only when that is allowed."""
    try:
        kind = find_format(source.file)
    except Unreadable as error:
        raise OperatorError(f"MODEL_PATH: {source.file.name} cannot be served: {error}.") from error
    if kind is not Format.PICKLE:
        return
    risk = "opening a pickled model runs whatever code its maker put in"
    if not settings.model_allow_pickle:
        raise OperatorError(
            f"MODEL_PATH: {source.file.name} is pickled, and {risk}. If you made it yourself, set "
            "MODEL_ALLOW_PICKLE=true; better, save it as .keras."
        )
    log.warning("taking a pickled model, as MODEL_ALLOW_PICKLE allows", model=source.name, risk=risk)


def _prepare(source: Source, digest: str, folder: Path, settings: Settings) -> None:
    making = f"{source.name}.making-"
    for broken_off in settings.cache_dir.glob(f"{making}*"):
        shutil.rmtree(broken_off)
    work = Path(tempfile.mkdtemp(prefix=making, dir=settings.cache_dir))
    try:
        require_memory(loading_with_tensorflow(source.file), f"To convert {source.name}", _ELSEWHERE)
        log.info("loading and converting it with TensorFlow (10 to 60 seconds, once)", model=source.name)
        exported = _run_convert(source, settings, digest, work)
        converted = json.loads((work / CONVERTED).read_text())
        for note in converted["notes"]:
            log.info("repaired to be served as it was trained", model=source.name, what=note)
        for warning in converted["warnings"]:
            log.warning("THIS MODEL IS LIKELY TO ANSWER WRONGLY", model=source.name, why=warning)
        choice = _choose(source, converted, work, settings)
        if choice["engine"] == "openvino":
            _remove(exported)
        _write_document(work, converted, choice)
        work.chmod(0o755)  # as a scratch folder it was its maker's alone; a worker may run as somebody else
        work.rename(folder)  # at once: a folder under this name is always whole
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if assumed := converted["card"]["assumed"]:
        log.warning("taken as the default, for nobody declared it", model=source.name, assumed=assumed)
    log.info("prepared", model=source.name, **choice)


def _choose(source: Source, converted: dict[str, Any], work: Path, settings: Settings) -> dict[str, Any]:
    from worker.proof import choose_engine  # brings in OpenVINO: neither at a start from the cache nor before now

    log.info("comparing the engines", model=source.name, reference=converted["library"], wanted=str(settings.engine))
    probe, expected = np.load(work / "probe.npy"), np.load(work / "keras.npy")
    shift, golden = converted["exported_shift"], bool(source.golden)
    card = card_from_dict(converted["card"])
    return choose_engine(card, work, probe, expected, settings, golden=golden, exported_shift=shift)


def _write_document(work: Path, converted: dict[str, Any], choice: dict[str, Any]) -> None:
    """Writes what `load_served_model` reads; what was proven goes into the served card as well."""
    versions = {name: importlib.metadata.version(name) for name in _RUNTIMES}
    known = {key: converted[key] for key in ("library", "notes", "warnings", "any_size")}
    proven = {key: choice[key] for key in ("engine", "precision", "largest_shift", "images", "golden")}
    card = {**converted["card"], "verified": {**proven, "library": converted["library"]}}
    (work / PREPARED).write_text(json.dumps({"card": card, **choice, **known, "versions": versions}, indent=1))
    for used_up in ("probe.npy", "keras.npy", CONVERTED):
        (work / used_up).unlink()


def _renew_findings(prepared: Path, source: Source) -> None:
    """Takes over what was found out about a card since: it is no part of the contract, so nothing is prepared anew."""
    if source.card is None:
        return
    document = json.loads(prepared.read_text())
    fresh = {key: value for key, value in asdict(source.card).items() if key in ("derived", "assumed", "checked")}
    if json.loads(json.dumps(fresh)) == {key: document["card"][key] for key in fresh}:
        return
    document["card"] |= fresh
    renewed = prepared.with_suffix(".new")
    renewed.write_text(json.dumps(document, indent=1))
    renewed.rename(prepared)


def _run_convert(source: Source, settings: Settings, digest: str, target: Path) -> Path:
    """What TensorFlow exported, translated for OpenVINO beside it where that can be."""
    # what nobody set stays unset there, too, for the card says so
    told = settings.model_dump_json(include={"model_path", "worker_threads", *_CARD_SETTINGS}, exclude_unset=True)
    export_with_tensorflow(told, digest, target)
    exported = target / (TFLITE if (target / TFLITE).exists() else SAVED_MODEL)
    translate_for_openvino(exported, target)
    return exported


def _remove(exported: Path) -> None:
    shutil.rmtree(exported) if exported.is_dir() else exported.unlink()


def _key(source: Source, digest: str, settings: Settings) -> str:
    contract = source.card.contract if source.card else [getattr(settings, name) for name in _CARD_SETTINGS]
    # no path: what was prepared in one folder is as good in another
    golden = [(one.path.name, one.label, one.probabilities, file_digest(one.path)) for one in source.golden]
    runtimes = [importlib.metadata.version(name) for name in _RUNTIMES]
    choices = [str(settings.engine), settings.batch_max, settings.batch_seconds]
    tail = hashlib.sha256(repr([_FORMAT, contract, golden, runtimes, choices]).encode()).hexdigest()
    return f"{source.name}-{digest[:12]}-{tail[:12]}"
