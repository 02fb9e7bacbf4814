"""What worker tests are made of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from redis import Redis

from shared.cards import Card, Label, check_card
from shared.database import Database
from shared.images import ImageStore
from shared.line import Line
from shared.settings import Settings
from tests.shared.make import add
from worker.preprocessing import Float32Array
from worker.pulse import Pulse
from worker.runner import Runner


def card(**changes: Any) -> Card:
    """A card of two labels, wider than high."""
    entries: dict[str, Any] = {"name": "leaf", "version": "1", "file": "leaf.keras", "width_px": 8, "height_px": 4}
    labels = changes.pop("labels", (Label("healthy"), Label("rust")))
    return check_card(Card(**{**entries, **changes, "labels": labels}))


class TinyEngine:
    """Takes the mean brightness for the second class; counts what it was given."""

    name = "tiny"
    precision = "f32"
    micro_batch = 16

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def predict(self, batch: Float32Array) -> Float32Array:
        """See `ModelEngine.predict`."""
        self.batches.append(len(batch))
        self.meanwhile()
        mean = batch.mean(axis=(1, 2, 3))
        return np.stack([1 - mean, mean], 1).astype(np.float32)


@dataclass
class Bench:
    """One worker child's parts."""

    settings: Settings
    database: Database
    images: ImageStore
    line: Line
    redis: Redis
    engine: TinyEngine
    pulse: Pulse
    runner: Runner

    def queue(self, job_id: str, image: bytes | None, **changes: Any) -> None:
        """An accepted image; None for one that the store has lost."""
        if image is not None:
            incoming = self.images.receive(job_id)
            incoming.append(image)
            incoming.keep(lambda _: None)
            incoming.close()
        add(self.database, job_id, **changes)
