"""Pictures, models and prepared models: made once, kept in one folder, taken from there ever after."""

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from bench import cores
from bench.pictures import make_pictures
from bench.processes import ROOT, Process, plain_environment
from bench.workloads import Model, Pictures, Workload
from turno.programs import _DEFAULTS

_FORMAT = 1  # one more makes everything anew
_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Material:
    """A workload with all that it needs on disk."""

    workload: Workload
    images: list[Path]
    model: Path
    state: Path  # a state folder in which the model is prepared, and nothing else


class Cache:
    """One folder."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """Takes the folder and who hears what is being made."""
        self.folder = folder / f"v{_FORMAT}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._say = say

    def material(self, workload: Workload, *, served: bool = True) -> Material:
        """All that `workload` needs; what is missing is made.

        Args:
            served: a worker or the raw loop will run the model; an API alone only names it.
        """
        name, shipped = workload.model.name, workload.model.shipped
        model, state = (ROOT if shipped else self.folder) / "models" / name, self.folder / "prepared" / name
        with FileLock(self.folder / "making.lock"):
            images = self._pictures(workload.pictures)
            if served:
                self._make_model(workload.model, model, images)
                self.prepare(model, state)
        return Material(workload, sorted(images.glob("*.jpg")), model, state)

    def prepare(self, model: Path, state: Path) -> float:
        """`turno prepare` on the core that serves later; returns the seconds it took, few when it was done before."""
        if not (state / "prepared").exists():
            self._say(f"preparing the model {model.name}")
        state.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        environment = {**_DEFAULTS, "STATE_DIR": str(state), "MODEL_PATH": str(model)}
        self._run(["turno", "prepare"], state, environment)
        return time.perf_counter() - began

    def _pictures(self, pictures: Pictures) -> Path:
        folder = self.folder / "images" / pictures.name
        if not folder.exists():
            self._say(f"making {pictures.distinct} pictures of {pictures.name} pixels")
            with self._scratch(folder) as scratch:
                make_pictures(pictures, scratch)
                scratch.rename(folder)
        return folder

    def _make_model(self, model: Model, folder: Path, images: Path) -> None:
        if not folder.exists():
            self._say(f"making the model {model.name}")
            with self._scratch(folder) as scratch:
                self._run(["bench.models", model.name, str(scratch), str(images)], folder.parent, _DEFAULTS)
                scratch.rename(folder)

    def _run(self, module: list[str], folder: Path, environment: dict[str, str]) -> None:
        log = folder / "making.log"
        process = Process(
            [sys.executable, "-m", *module], plain_environment(**environment), folder, log, cores.MEASURED
        )
        try:
            if process.wait(_SECONDS):
                raise RuntimeError(f"{' '.join(module)} failed: {process.last_words()}")
        finally:
            process.stop()

    def _scratch(self, folder: Path) -> "_Scratch":
        return _Scratch(folder.with_name(f"{folder.name}.making"))


class _Scratch:
    """A path at which nothing lies, before and after: a folder under its final name is always whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._path, ignore_errors=True)
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)
