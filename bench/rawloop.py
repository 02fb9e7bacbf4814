"""Decode and infer, and nothing else: what the service is measured against.

`python -m bench.rawloop IMAGE…` loads the model that the environment names, as a worker does, then answers each line
on its input (how many images, and how many at once; 0: as many as the engine likes best) with what that took.
"""

import io
import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np

from shared.imagefile import open_image
from shared.logs import configure_logging
from shared.settings import load_settings
from worker.preprocessing import preprocess_image_for_prediction
from worker.registry import ServedModel, load_served_model

_TRIALS_MOST, _TRIAL_SECONDS = 16, 1.0


class RawLoop:
    """One warm model and some files."""

    def __init__(self, model: ServedModel, images: list[Path]) -> None:
        self._model = model
        self._images = itertools.cycle(images)

    def run(self, total: int, at_once: int) -> tuple[float, float, list[float]]:
        """Seconds, seconds of CPU, and the seconds of each batch."""
        card, engine = self._model.card, self._model.engine
        size = at_once or engine.micro_batch
        inputs = np.empty((size, card.height_px, card.width_px, card.channels), np.float32)
        batches = []
        began, cpu_began = time.perf_counter(), time.process_time()
        for at in range(0, total, size):
            batch_began = time.perf_counter()
            batch = inputs[: total - at]
            for row in batch:
                with open_image(io.BytesIO(next(self._images).read_bytes())) as image:
                    preprocess_image_for_prediction(image, card, row)
            engine.predict(batch)
            batches.append(time.perf_counter() - batch_began)
        return time.perf_counter() - began, time.process_time() - cpu_began, batches


def seconds_for_one(loop: RawLoop) -> float:
    """What one image costs when it comes alone."""
    (first,) = loop.run(1, 1)[2]
    return min(loop.run(max(1, min(_TRIALS_MOST, int(_TRIAL_SECONDS / first))), 1)[2])


def main(images: list[str]) -> None:
    """Says that it is ready, then does what it is told."""
    settings = load_settings()
    configure_logging(settings.log_level)
    model = load_served_model(settings)
    loop = RawLoop(model, [Path(image) for image in images])
    engine = model.engine
    facts = {"engine": engine.name, "precision": engine.precision, "micro_batch": engine.micro_batch}
    say({"image_seconds": seconds_for_one(loop), **facts})
    for line in sys.stdin:
        told = json.loads(line)
        seconds, cpu_seconds, batches = loop.run(told["total"], told["at_once"])
        say({"seconds": seconds, "cpu_seconds": cpu_seconds, "batches": batches})


def say(answer: object) -> None:
    """One line for whoever asked."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
