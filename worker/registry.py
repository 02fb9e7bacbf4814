"""Which model answers: the prepared one, loaded once in each child; a restart swaps it."""

import json
import re
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.cards import Card, card_from_dict
from shared.errors import OperatorError
from shared.logs import get_logger
from shared.models import served_model_name
from shared.settings import Settings
from worker.conversion import SAVED_MODEL, TFLITE
from worker.engines import ModelEngine
from worker.footprint import require_memory, serving_with_openvino, serving_with_tensorflow

log = get_logger(__name__)

PREPARED = "prepared.json"
_EVIDENCE = ("largest_shift", "images")  # what a receipt says of the comparison with the author's framework
_LESS = "serve a smaller model, or with fewer children (WORKER_CONCURRENCY)"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A warm model with the contract that feeds and reads it."""

    name: str
    card: Card
    engine: ModelEngine

    @property
    def receipt(self) -> dict[str, Any]:
        """What every result says of the model that gave it."""
        return {
            "name": self.card.name,
            "version": self.card.version,
            "sha256": self.card.sha256,
            "engine": self.engine.name,
            "precision": self.engine.precision,
            "verified": {key: self.card.verified[key] for key in _EVIDENCE if key in self.card.verified},
        }

    @property
    def public_card(self) -> dict[str, Any]:
        """What callers may know of the contract."""
        return asdict(self.card)


def load_served_model(settings: Settings) -> ServedModel:
    """Loads and warms the prepared model in this process.

    Raises:
        OperatorError: it was never prepared, or it is too large for this machine.
    """
    started = time.perf_counter()
    name = served_model_name(settings)
    folder = prepared_folder(settings, name)
    document = json.loads((folder / PREPARED).read_text())
    card = card_from_dict(document["card"])
    engine = _make_engine(document, card, folder, settings)
    images = sum(document["micro_batches"])  # the sizes are powers of two: each of them is run once
    engine.predict(np.zeros((images, card.height_px, card.width_px, card.channels), np.float32))
    log.info("model warm", model=name, engine=engine.name, seconds=round(time.perf_counter() - started, 2))
    return ServedModel(name, card, engine)


def prepared_folder(settings: Settings, name: str) -> Path:
    """Where the prepared model `name` lies.

    Raises:
        OperatorError: it was never prepared.
    """
    pointer = settings.cache_dir / f"{name}.current"
    if not pointer.exists():
        raise OperatorError(f"The model {name} is not prepared: run `python -m turno prepare`.")
    return settings.cache_dir / pointer.read_text()


def point_to(cache: Path, name: str, folder: Path) -> None:
    """Makes `folder` the prepared model `name`, in one step, and drops what was prepared before."""
    fresh = cache / f"{name}.current.new"
    fresh.write_text(folder.name)
    fresh.rename(cache / f"{name}.current")
    prepared = re.compile(re.escape(name) + r"-[0-9a-f]{12}-[0-9a-f]{12}")  # never leaf-health's for leaf
    for old in cache.iterdir():
        if prepared.fullmatch(old.name) and old != folder:
            shutil.rmtree(old, ignore_errors=True)


def _make_engine(document: dict[str, Any], card: Card, folder: Path, settings: Settings) -> ModelEngine:
    threads, micro_batches = settings.worker_threads, document["micro_batches"]
    if document["engine"] == "tensorflow":
        # either brings in TensorFlow, 4 seconds and 200 MB: only where it serves
        lite = (folder / TFLITE).exists()
        exported = folder / (TFLITE if lite else SAVED_MODEL)
        require_memory(serving_with_tensorflow(exported), f"To serve {card.name} with TensorFlow", _LESS)
        if lite:
            from worker.engines.tflite import TfliteEngine

            return TfliteEngine(exported, card, threads=threads)
        from worker.engines.tensorflow import TensorFlowEngine

        return TensorFlowEngine(exported, micro_batches=micro_batches, threads=threads)
    from worker.engines.openvino import OpenVinoEngine

    model = folder / "model.xml"
    require_memory(serving_with_openvino(model, micro_batches), f"To serve {card.name}", _LESS)
    return OpenVinoEngine(model, precision=document["precision"], micro_batches=micro_batches, threads=threads)
