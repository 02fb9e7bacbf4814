"""Everything TensorFlow: the one file that imports it.

Loads any model, says what can be read off it, exports it for conversion, and serves it itself when asked to
(`ENGINE=tensorflow`) or when OpenVINO cannot.
"""

import os
from collections.abc import Sequence
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
    """The model as TensorFlow runs it, traced once for each of its fixed batch sizes and never again."""

    name = "tensorflow"
    precision = "f32"

    def __init__(self, model: Path, *, shape: tuple[int, int, int], micro_batches: Sequence[int], threads: int) -> None:
        """Loads and traces the model, in a process in which TensorFlow has not computed anything yet.

        Args:
            shape: height, width and channels of an image; the model itself may leave them open.
            micro_batches: how many images are computed at once; 1 is among them.
        """
        compute_with(threads)
        loaded = load_keras(model)
        self.micro_batch = max(micro_batches)
        # concrete functions: another shape is refused by them, where a tf.function would trace and compile it
        self._run = {
            size: tf.function(lambda batch: loaded(batch, training=False)).get_concrete_function(
                tf.TensorSpec((size, *shape), tf.float32)
            )
            for size in micro_batches
        }

    def predict(self, batch: Float32Array) -> Float32Array:
        """See `ModelEngine.predict`."""
        parts = [
            self._run[piece.stop - piece.start](tf.constant(batch[piece], tf.float32)).numpy()
            for piece in in_micro_batches(len(batch), tuple(self._run))
        ]
        return np.concatenate(parts).reshape(len(batch), -1).astype(np.float32, copy=False)


def compute_with(threads: int) -> None:
    """Sets how many threads compute; to be called before TensorFlow has computed anything."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


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
