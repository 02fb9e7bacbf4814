"""Takes the Keras model out of a `.joblib` or `.pkl` file, in a process of its own that knows no secret."""

import os
import subprocess
import sys
from pathlib import Path

from worker.readers import Unreadable

_MOST_SECONDS = 300
_UNREADABLE = 3  # exit code of `worker.readers.inert`: the last line of its stderr is for people


def unpickle_to_keras(path: Path, target: Path) -> Path:
    """Writes the one model in a pickle into the folder `target`, as the .keras, .h5 or SavedModel that it embeds.

    The risk: a pickle is a program, and whoever wrote it decides what it does. Here nothing it names is imported or
    called but numpy's arrays (see `worker.readers.inert`), in a process without the environment and with bounded time.
    That is a fence and not a sandbox, with this user's files behind it: unpickle only what you would also run.

    Raises:
        Unreadable: it is no pickle, or holds not exactly one Keras model.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "worker.readers.inert", str(path.absolute()), str(target.absolute())],
            env={"PYTHONPATH": os.pathsep.join(sys.path)},  # and no secret
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreadable(f"unpickling it took longer than {_MOST_SECONDS} seconds: save the model as .keras") from error
    last_line = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode == _UNREADABLE:
        raise Unreadable(last_line)
    if done.returncode:
        raise Unreadable(f"unpickling it failed with exit code {done.returncode}: save the model as .keras")
    return Path(done.stdout.strip())
