"""What runs a model: OpenVINO serves what TensorFlow verified, TensorFlow can serve everything itself."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from worker.preprocessing import Float32Array


class ModelEngine(Protocol):
    """A loaded model in this process."""

    name: str
    precision: str
    micro_batch: int  # images that are worth computing at once

    def predict(self, batch: Float32Array) -> Float32Array:
        """Raw outputs for a batch, computed in micro-batches of the sizes the engine was made for.

        Args:
            batch: float32, shape (N, height, width, channels), N ≥ 1; read where it lies if it is C-contiguous.

        Returns:
            float32, shape (N, outputs): same length, same order.
        """
        ...


def in_micro_batches(total: int, sizes: Sequence[int]) -> Iterator[slice]:
    """Slices of `sizes` that make up `total`, as few as can be: the largest first.

    Args:
        sizes: what an engine was made for; 1 is among them.
    """
    at = 0
    for size in sorted(sizes, reverse=True):
        while total - at >= size:
            yield slice(at, at + size)
            at += size
