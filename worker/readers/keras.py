"""Opens `.keras` and `.h5` files of Keras 2.4 to the newest Keras 3 as models that compute what their author's did."""

import copy
import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from shared.logs import get_logger
from worker.readers import Opened, Unreadable
from worker.readers.kerasfile import KerasFile, read_keras_file, write_copy
from worker.readers.libraries import KERAS_2, KERAS_3, Library
from worker.readers.refusals import refuse_code, require_built_in
from worker.readers.repairs import repair
from worker.readers.weights import stored_weights

log = get_logger(__name__)

_EXPORT = "export it as a SavedModel where it was trained"


def open_keras_file(path: Path, scratch: Path) -> Opened:
    """Opens a model file by the library that fits the Keras that wrote it, the other one as the second try.

    Args:
        scratch: a folder for a copy of the file with a repaired configuration.

    Raises:
        Unreadable: it is no whole Keras model, or needs code that is not in the file.
    """
    file = read_keras_file(path)
    refuse_code(file.config)
    reasons: list[tuple[Library, Exception]] = []
    for library in (KERAS_3, KERAS_2) if file.version[:1] >= (3,) else (KERAS_2, KERAS_3):
        try:
            return _open(file, library, scratch)
        except Exception as error:  # whatever a library stumbles over, the other one may not
            log.info("not opened", library=str(library), reason=f"{type(error).__name__}: {error}"[:2000])
            reasons.append((library, error))
    library, reason = reasons[0]
    if isinstance(reason, Unreadable):
        raise reason
    raise Unreadable(f"{library} cannot build it ({_gist(reason)}): {_EXPORT}") from reason


def _open(file: KerasFile, library: Library, scratch: Path) -> Opened:
    config = copy.deepcopy(file.config)
    notes = repair(config, library, file)
    require_built_in(config, library)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        copied = write_copy(file, config, Path(folder))
        model = library.load(copied)
        _require_weights(model, copied)
    return Opened(model, str(library), notes)


def _require_weights(model: Any, copied: Path) -> None:
    """Refuses a model with weights that are not in its file: loaders leave what they do not find as it was created."""
    stored = {_digest(values) for values in stored_weights(copied)}
    missing = [weight.name for weight in model.weights if _digest(np.asarray(weight)) not in stored]
    if missing and stored:
        raise ValueError(f"no weights in the file for {', '.join(missing[:3])}")


def _digest(values: np.ndarray[Any, Any]) -> bytes:
    return hashlib.blake2b(np.asarray(values, np.float32).tobytes(), digest_size=16).digest()


def _gist(reason: Exception) -> str:
    """The innermost of an error's messages, for Keras wraps them in its configurations."""
    innermost = str(reason).split("Exception encountered:")[-1].strip()
    return (innermost.splitlines() or [type(reason).__name__])[0][:160]
