"""The worker with two images that misbehave: one that kills the child, one that a test holds and lets go.

`celery -A tests.e2e.held_worker worker`: everything else is the real worker.
"""

import os
import signal
import time
from pathlib import Path

from PIL import Image

from shared.cards import Card
from tests.photos import HELD_PX, POISON_PX
from worker import app as worker_app
from worker import decoding
from worker.preprocessing import pixels_for_prediction
from worker.resizing import Pixels


def _misbehaving(image: Image.Image, card: Card) -> Pixels:
    if image.size == POISON_PX:
        os.kill(os.getpid(), signal.SIGKILL)
    if image.size == HELD_PX:
        state = Path(os.environ["STATE_DIR"])
        (state / "held").touch()
        while not (state / "release").exists():
            time.sleep(0.01)
    return pixels_for_prediction(image, card)


decoding.pixels_for_prediction = _misbehaving  # type: ignore[attr-defined]
app = worker_app.app
