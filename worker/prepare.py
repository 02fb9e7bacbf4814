"""`turno prepare`: converts the served model once, proves it against Keras, and keeps the result.

Every later start loads `<state>/prepared/<key>/` and needs no TensorFlow. The key is made of the file's
digest, the card and the versions of the runtimes, so that a change of any of them prepares anew.
"""

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from filelock import FileLock

from shared.cards import card_from_dict
from shared.errors import OperatorError
from shared.logs import get_logger
from shared.models import served_model_name
from shared.settings import Settings, is_bucket
from worker.conversion import SAVED_MODEL, export_with_tensorflow, translate_for_openvino
from worker.footprint import loading_with_tensorflow, require_memory
from worker.registry import PREPARED, point_to
from worker.served import Source, file_digest, find_source

log = get_logger(__name__)

_FORMAT = 2  # of the prepared folder: one more makes every model be prepared anew
_RUNTIMES = ("openvino", "tensorflow", "keras")
_ELSEWHERE = "prepare it on a larger machine with `turno prepare --beside`, and bring here what that leaves"
_CARD_SETTINGS = ("labels", "image_width_px", "image_height_px", "model_scale", "model_interpolation")


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


def _prepare(source: Source, digest: str, folder: Path, settings: Settings) -> None:
    making = f"{source.name}.making-"
    for broken_off in settings.cache_dir.glob(f"{making}*"):
        shutil.rmtree(broken_off)
    work = Path(tempfile.mkdtemp(prefix=making, dir=settings.cache_dir))
    try:
        require_memory(loading_with_tensorflow(source.file), f"To convert {source.name}", _ELSEWHERE)
        log.info("loading and converting it with TensorFlow (10 to 60 seconds, once)", model=source.name)
        _run_convert(source, settings, digest, work)
        from worker.proof import choose_engine  # brings in OpenVINO: neither at a start from the cache nor before now

        card = json.loads((work / "card.json").read_text())
        log.info("comparing the engines with Keras", model=source.name, wanted=str(settings.engine))
        probe, expected = np.load(work / "probe.npy"), np.load(work / "keras.npy")
        choice = choose_engine(card_from_dict(card), work, probe, expected, settings, golden=bool(source.golden))
        if choice["engine"] == "tensorflow":
            _keep_copy(source.file, work / source.file.name)
        document = {"card": card, "model_file": source.file.name, **choice}
        (work / PREPARED).write_text(json.dumps(document, indent=1))
        for used_up in ("probe.npy", "keras.npy", "card.json"):
            (work / used_up).unlink()
        work.chmod(0o755)  # as a scratch folder it was its maker's alone; a worker may run as somebody else
        work.rename(folder)  # at once: a folder under this name is always whole
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if card["assumed"]:
        log.warning("taken as the default, for nobody declared it", model=source.name, assumed=card["assumed"])
    log.info("prepared", model=source.name, **choice)


def _keep_copy(file: Path, target: Path) -> None:
    """Binds what TensorFlow will load to what was proven now, whatever is put in the file's place."""
    if file.is_dir():
        shutil.copytree(file, target)
    else:
        shutil.copyfile(file, target)


def _run_convert(source: Source, settings: Settings, digest: str, target: Path) -> None:
    told = settings.model_dump_json(include={"model_path", "worker_threads", *_CARD_SETTINGS})
    export_with_tensorflow(told, digest, target)
    exported = source.file if source.file.is_dir() else target / SAVED_MODEL
    if exported.exists() and not (target / "conversion.txt").exists():
        translate_for_openvino(exported, target)
    shutil.rmtree(target / SAVED_MODEL, ignore_errors=True)


def _key(source: Source, digest: str, settings: Settings) -> str:
    contract = source.card or [getattr(settings, name) for name in _CARD_SETTINGS]
    # no path: what was prepared in one folder is as good in another
    golden = [(one.path.name, one.label, one.probabilities, file_digest(one.path)) for one in source.golden]
    runtimes = [importlib.metadata.version(name) for name in _RUNTIMES]
    choices = [str(settings.engine), settings.batch_max, settings.batch_seconds]
    tail = hashlib.sha256(repr([_FORMAT, contract, golden, runtimes, choices]).encode()).hexdigest()
    return f"{source.name}-{digest[:12]}-{tail[:12]}"
