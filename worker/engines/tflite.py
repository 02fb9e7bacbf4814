"""The engine of TensorFlow Lite, for .tflite files that OpenVINO does not compute alike: those of 8-bit integers."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from shared.cards import Card
from worker.engines.tensorflow import tf
from worker.preprocessing import Float32Array

_ONE = 1.001  # and what float32 makes of it
_PIXELS = {"none": (1.0, 0.0), "1/255": (255.0, 0.0), "-1..1": (127.5, 127.5)}  # pixel = factor · x + offset


class TfliteEngine:
    """The file as TensorFlow Lite runs it, image by image; 8-bit integers begin and end at its edges."""

    name = "tensorflow"
    precision = "f32"  # what goes in and comes out
    micro_batch = 1

    def __init__(self, model: Path, card: Card, *, threads: int) -> None:
        """Loads the model.

        A model of unsigned bytes is given pixels where its bytes are pixels; else its numbers are those that the
        bytes stand for.

        Raises:
            ValueError, RuntimeError: not a model that TensorFlow Lite runs.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is to be called LiteRT
            self._interpreter = tf.lite.Interpreter(str(model), num_threads=threads)
        self._input, self._output = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        self._copies = max(1, self._input["shape_signature"][0])  # a fixed batch size is filled up
        self._interpreter.resize_tensor_input(
            self._input["index"], (self._copies, card.height_px, card.width_px, card.channels)
        )
        self._interpreter.allocate_tensors()
        self._pixels = _as_pixels(card.scale, self._input)

    def predict(self, batch: Float32Array) -> Float32Array:
        """See `ModelEngine.predict`."""
        return np.stack([self._run(image) for image in batch])

    def _run(self, image: Float32Array) -> Float32Array:
        if self._pixels:
            factor, offset = self._pixels
            values = np.rint(image * np.float32(factor) + np.float32(offset)).clip(0, 255)
        else:
            values = _quantised(image, self._input)
        self._interpreter.set_tensor(
            self._input["index"], np.repeat(values[None], self._copies, 0).astype(self._input["dtype"])
        )
        self._interpreter.invoke()
        return _real(self._interpreter.get_tensor(self._output["index"])[0].ravel(), self._output)


def _as_pixels(scale: str, tensor: dict[str, Any]) -> tuple[float, float] | None:
    """How the card's numbers become the pixels again, where the model's bytes are pixels.

    They are those of scale none; and of another scale where byte and pixel differ by no more than one from 0 to 255.
    Teachable Machine's do by half of one, which rounding would decide by float noise; those of step 1/128 and zero 128
    by one at the end.
    """
    if tensor["dtype"] != np.uint8 or scale not in _PIXELS:
        return None
    factor, offset = _PIXELS[scale]
    step, zero = tensor["quantization"]
    if scale == "none" or (step and all(abs((end - offset) / factor / step + zero - end) <= _ONE for end in (0, 255))):
        return factor, offset
    return None


def _quantised(values: Float32Array, tensor: dict[str, Any]) -> Any:
    scale, zero = tensor["quantization"]
    if not scale:
        return values
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.round(values / np.float32(scale)) + zero, limits.min, limits.max)


def _real(values: Any, tensor: dict[str, Any]) -> Float32Array:
    scale, zero = tensor["quantization"]
    real: Float32Array = (values.astype(np.float32) - zero) * scale if scale else values
    return real.astype(np.float32)
