"""Readers: from a file as its author left it to a callable model that computes what the author's framework computed."""

from dataclasses import dataclass
from typing import Any


class Unreadable(ValueError):
    """A model file that cannot be opened; its text is one sentence for people: what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A model whose `model(batch, training=False)` is deterministic and takes float32 batches of any size, NHWC."""

    model: Any  # a model of Keras 3 or of tf_keras, with `.inputs` and `.outputs`
    library: str  # "keras 3.15.1" or "tf_keras 2.21.0"
    notes: tuple[str, ...] = ()  # what was repaired, for people: "augmentation removed: random_flip"
