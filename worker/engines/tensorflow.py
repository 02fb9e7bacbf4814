"""Everything TensorFlow: the one file that imports it.

Loads any model, says what can be read off it, exports it for conversion, and serves it itself when asked to
(`ENGINE=tensorflow`) or when OpenVINO cannot.
"""

import os
from pathlib import Path
from typing import Any

# before the import: no search for a GPU, and float results that do not depend on the CPU's vector units
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from worker.engines import in_micro_batches
from worker.preprocessing import Float32Array
from worker.served import ModelFacts


class TensorFlowEngine:
    """The model as TensorFlow runs it, traced once for each of its two fixed batch sizes."""

    name = "tensorflow"
    precision = "f32"

    def __init__(self, model: Path, *, micro_batch: int, threads: int) -> None:
        """Loads and traces the model; `threads` counts only before TensorFlow has computed anything."""
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._model = load_keras(model)
        self.micro_batch = micro_batch
        self._run = tf.function(lambda batch: self._model(batch, training=False), reduce_retracing=False)

    def predict(self, batch: Float32Array) -> Float32Array:
        """See `ModelEngine.predict`."""
        parts = [
            np.asarray(self._run(tf.constant(batch[piece]))).reshape(piece.stop - piece.start, -1)
            for piece in in_micro_batches(len(batch), self.micro_batch)
        ]
        return np.concatenate(parts).astype(np.float32, copy=False)


def load_keras(path: Path) -> Any:
    """The model in a .keras or .h5 file, or in a SavedModel folder.

    Raises:
        ValueError, OSError: not a model that Keras loads in safe mode.
    """
    if path.is_dir():
        layer = keras.layers.TFSMLayer(path, call_endpoint="serving_default")
        signature = tf.saved_model.load(str(path)).signatures["serving_default"]
        shape = next(iter(signature.structured_input_signature[1].values())).shape
        inputs = keras.Input(shape[1:])
        return keras.Model(inputs, next(iter(layer(inputs).values())))
    return keras.models.load_model(path, compile=False, safe_mode=True)


def read_facts(model: Any) -> ModelFacts:
    """What the model's own graph says of its contract.

    Raises:
        ValueError: not one image in and one list of numbers out.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError("the model must have one input and one output")
    shape, out = tuple(model.inputs[0].shape), tuple(model.outputs[0].shape)
    if len(shape) != 4 or shape[3] not in (1, 3) or len(out) != 2 or out[1] is None:
        raise ValueError(f"the model takes {shape} and gives {out}; an image classifier takes (N, H, W, 1 or 3)")
    rescaling = (keras.layers.Rescaling, keras.layers.Normalization)
    return ModelFacts(
        width_px=shape[2],
        height_px=shape[1],
        channels=shape[3],
        outputs=out[1],
        rescales=any(isinstance(layer, rescaling) for layer in _all_layers(model)),
    )


def export_saved_model(model: Any, target: Path) -> None:
    """Writes the inference graph as a SavedModel."""
    model.export(str(target), verbose=False)


def _all_layers(model: Any) -> list[Any]:
    found: list[Any] = list(model.layers)
    for layer in found:
        found.extend(getattr(layer, "layers", []))
    return found
