"""What runs a model: OpenVINO serves what TensorFlow verified, TensorFlow can serve everything itself."""

from typing import Protocol

from worker.preprocessing import Float32Array


class ModelEngine(Protocol):
    """A loaded model in this process."""

    name: str
    precision: str

    def predict(self, batch: Float32Array) -> Float32Array:
        """Raw outputs for a batch, computed in micro-batches of the sizes the engine was made for.

        Args:
            batch: float32, shape (N, height, width, channels), N ≥ 1.

        Returns:
            float32, shape (N, outputs): same length, same order.
        """
        ...


def in_micro_batches(total: int, size: int) -> list[slice]:
    """Slices of `size`, then single ones for what is left: the only two shapes an engine compiles."""
    full = total - total % size
    return [slice(at, at + size) for at in range(0, full, size)] + [slice(at, at + 1) for at in range(full, total)]
