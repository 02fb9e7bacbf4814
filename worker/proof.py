"""The evidence on which an engine and its precision are chosen: agreement with Keras, then speed."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from shared.cards import Card
from shared.errors import ModelFault, OperatorError
from shared.logs import get_logger
from shared.settings import Engine, Settings
from worker.engines.openvino import FULL_PRECISION, OpenVinoEngine, offered_precisions
from worker.interpretation import class_probabilities
from worker.preprocessing import Float32Array

log = get_logger(__name__)

_FULL_TOLERANCE = 1e-4  # float32 engines differ by the order of their sums only
_MICRO_BATCHES = (2, 4, 8, 16)
_WORTH_IT = 0.95  # a larger micro-batch must save 5 % an image, or it only costs memory
_BATCH_BYTES = 400_000_000  # growth of this process that a micro-batch may cause
_PAGE_BYTES = 4096


def choose_engine(
    card: Card, folder: Path, probe: Float32Array, expected: Float32Array, settings: Settings, *, golden: bool
) -> dict[str, Any]:
    """Engine, precision and micro-batch, with the figures that decided.

    Reduced precision serves only if every top class agrees with Keras and no probability moves by more
    than the card's tolerance; else float32; else TensorFlow itself.

    Args:
        folder: holds model.xml when the model could be converted.
        probe: float32, shape (N, H, W, C).
        expected: Keras' outputs for it, shape (N, outputs).
        golden: the probe is photos, not synthetic; without photos there is no evidence for reduced precision.

    Raises:
        OperatorError: the outputs are no probabilities, or ENGINE=openvino cannot be had.
    """
    try:
        reference = np.stack([class_probabilities(row, card) for row in expected])
    except ModelFault as fault:
        raise OperatorError(f"The model cannot be served: {fault.detail}") from fault
    if settings.engine is not Engine.TENSORFLOW and (folder / "model.xml").exists():
        for precision in offered_precisions() if golden else [FULL_PRECISION]:
            shift = _largest_shift(card, folder, probe, reference, precision, settings)
            log.info("compared with Keras", precision=precision, largest_shift=shift)
            if shift <= (_FULL_TOLERANCE if precision == FULL_PRECISION else card.tolerance):
                return {
                    "engine": OpenVinoEngine.name,
                    "precision": precision,
                    "largest_shift": shift,
                    "images": len(probe),
                    **_fastest_micro_batch(folder, probe, precision, settings),
                }
    reason = (folder / "conversion.txt").read_text() if (folder / "conversion.txt").exists() else "see above"
    if settings.engine is Engine.OPENVINO:
        raise OperatorError(f"ENGINE=openvino: the model could not be converted or does not agree with Keras: {reason}")
    if settings.engine is Engine.AUTO:
        log.warning("TensorFlow serves this model: OpenVINO cannot", reason=reason)
    return {
        "engine": "tensorflow",
        "precision": "f32",
        "largest_shift": 0.0,
        "images": len(probe),
        "micro_batch": 1,
        "seconds_per_image": None,
    }


def _largest_shift(
    card: Card, folder: Path, probe: Float32Array, reference: Float32Array, precision: str, settings: Settings
) -> float:
    """How far any probability is from Keras'; infinite when a top class differs or outputs are unusable."""
    engine = OpenVinoEngine(folder / "model.xml", precision=precision, micro_batch=1, threads=settings.worker_threads)
    try:
        found = np.stack([class_probabilities(row, card) for row in engine.predict(probe)])
    except ModelFault:
        return math.inf
    agrees = (found.argmax(1) == reference.argmax(1)).all()
    return float(np.abs(found - reference).max()) if agrees else math.inf


def _fastest_micro_batch(folder: Path, probe: Float32Array, precision: str, settings: Settings) -> dict[str, Any]:
    one = np.ascontiguousarray(probe[:1])
    best, best_seconds, before = 1, _seconds_per_image(folder, one, 1, precision, settings), _resident_bytes()
    for size in _MICRO_BATCHES:
        if size > settings.batch_max or size * best_seconds > settings.batch_seconds:
            break
        seconds = _seconds_per_image(folder, np.repeat(one, size, 0), size, precision, settings)
        if _resident_bytes() - before > _BATCH_BYTES:
            break
        if seconds < best_seconds * _WORTH_IT:
            best, best_seconds = size, seconds
    return {"micro_batch": best, "seconds_per_image": round(best_seconds, 6)}


def _seconds_per_image(folder: Path, batch: Float32Array, size: int, precision: str, settings: Settings) -> float:
    engine = OpenVinoEngine(
        folder / "model.xml", precision=precision, micro_batch=size, threads=settings.worker_threads
    )
    engine.predict(batch)
    samples = []
    for _ in range(3):
        start = time.perf_counter()
        engine.predict(batch)
        samples.append(time.perf_counter() - start)
    return min(samples) / size


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
