"""The evidence on which an engine and its precision are chosen: agreement with Keras, then speed."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from shared.cards import Card
from shared.errors import OperatorError
from shared.limits import usable_memory_bytes
from shared.logs import get_logger
from shared.settings import Engine, Settings
from worker.engines.openvino import FULL_PRECISION, OpenVinoEngine, offered_precisions
from worker.microbatches import fewest_sizes
from worker.preprocessing import Float32Array
from worker.probes import largest_shift

log = get_logger(__name__)

_FULL_TOLERANCE = 1e-4  # float32 engines differ by the order of their sums only
_LARGER_SIZES = (2, 4, 8)  # 16 was never 3 % better than 8, and takes the most memory
_BATCH_BYTES = 400_000_000  # growth of this process that larger micro-batches may cause
_PAGE_BYTES = 4096
_ROUND_SECONDS = 0.15  # a round that is longer than this is measured three times, a shorter one nine times
# one, whatever will serve: the choice must not depend on the machine that prepares, and one CPU is what counts
_THREADS = 1


def choose_engine(
    card: Card,
    folder: Path,
    probe: Float32Array,
    expected: Float32Array,
    settings: Settings,
    *,
    golden: bool,
    exported_shift: float = 0.0,
) -> dict[str, Any]:
    """Engine, precision and micro-batches, with the figures that decided.

    Reduced precision serves only if every top class agrees with the author's framework and no probability moves by
    more than the card's tolerance; else float32; else TensorFlow itself.

    Args:
        folder: holds model.xml when the model could be converted.
        probe: float32, shape (N, H, W, C).
        expected: the framework's answers to it, shape (N, outputs), which are what the card says.
        golden: the probe is photos, not synthetic; without photos there is no evidence for reduced precision.
        exported_shift: how far TensorFlow's answers moved by the export.

    Raises:
        OperatorError: ENGINE=openvino cannot be had.
    """
    if settings.engine is not Engine.TENSORFLOW and (folder / "model.xml").exists():
        for precision in offered_precisions() if golden else [FULL_PRECISION]:
            tolerance = _FULL_TOLERANCE if precision == FULL_PRECISION else card.tolerance
            if choice := _proven(card, folder / "model.xml", probe, expected, precision, tolerance, settings):
                return {**choice, "golden": golden}
    reason = "it answers otherwise than the model itself"
    if (folder / "conversion.txt").exists():
        reason = (folder / "conversion.txt").read_text()
    if settings.engine is Engine.OPENVINO:
        raise OperatorError(f"ENGINE=openvino: the model could not be converted or does not agree with Keras: {reason}")
    if settings.engine is Engine.AUTO:
        log.warning("TensorFlow serves this model: OpenVINO cannot", reason=reason)
    return {
        "engine": "tensorflow",
        "precision": FULL_PRECISION,
        "largest_shift": exported_shift,
        "images": len(probe),
        "golden": golden,
        "micro_batches": [1],
        "seconds_per_image": None,
    }


def _proven(
    card: Card,
    model: Path,
    probe: Float32Array,
    expected: Float32Array,
    precision: str,
    tolerance: float,
    settings: Settings,
) -> dict[str, Any] | None:
    """OpenVINO in this precision with the micro-batches that pay; None where it is not what Keras says."""
    try:
        single = OpenVinoEngine(model, precision=precision, micro_batches=[1], threads=_THREADS)
        started = time.process_time()
        shift = largest_shift(single.predict(probe), expected, card)
    except RuntimeError as error:
        log.warning("OpenVINO cannot run it", precision=precision, reason=str(error)[:300])
        return None
    seconds = (time.process_time() - started) / len(probe)
    log.info("compared with Keras", precision=precision, largest_shift=shift, seconds_per_image=round(seconds, 4))
    if shift > tolerance:
        return None
    measured = _measure(single, model, probe[:1], seconds, settings)
    sizes = fewest_sizes(measured)
    if sizes != [1]:
        several = OpenVinoEngine(model, precision=precision, micro_batches=sizes, threads=_THREADS)
        together = largest_shift(several.predict(probe), expected, card)
        if together > tolerance:  # a model whose answer for one image depends on those beside it
            log.warning("its images are computed one by one: in batches they give other answers", shift=together)
            sizes, together = [1], shift
        shift = max(shift, together)
    return {
        "engine": OpenVinoEngine.name,
        "precision": single.precision,
        "largest_shift": shift,
        "images": len(probe),
        "micro_batches": sizes,
        "seconds_per_image": round(min(measured[size] / size for size in sizes), 6),
    }


def _measure(
    single: OpenVinoEngine, model: Path, image: Float32Array, seconds: float, settings: Settings
) -> dict[int, float]:
    """CPU seconds of a batch of each size, as far as time and memory allow; `seconds` is what one image takes about."""
    engines, before = {1: single}, _resident_bytes()
    for size in _LARGER_SIZES:
        if size > settings.batch_max or size * seconds > settings.batch_seconds:
            break
        try:
            engine = OpenVinoEngine(model, precision=single.precision, micro_batches=[size], threads=_THREADS)
            engine.predict(np.repeat(image, size, 0))
        except RuntimeError:  # made for one image at a time
            break
        grown, free = _resident_bytes() - before, usable_memory_bytes()
        if grown > _BATCH_BYTES or (free is not None and free < 2 * grown):
            break
        engines[size] = engine
    if len(engines) == 1:
        return {1: seconds}
    batches = {size: np.repeat(image, size, 0) for size in engines}
    rounds = 3 if sum(engines) * seconds > _ROUND_SECONDS else 9
    best = dict.fromkeys(engines, math.inf)
    for _ in range(rounds):  # all sizes in each round: what else the machine does meets them alike
        for size, engine in engines.items():
            started = time.process_time()
            engine.predict(batches[size])
            best[size] = min(best[size], time.process_time() - started)
    return best


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
