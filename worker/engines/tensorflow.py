"""Everything TensorFlow: its one way in, and the engine that serves an exported graph.

It serves when asked to (`ENGINE=tensorflow`), or when OpenVINO cannot.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

# before the import: no search for a GPU, and float results that do not depend on the CPU's vector units
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# TensorFlow's package imports Keras if it can, 2.5 seconds and 80 MB that serving does not need
_without_keras = "keras" not in sys.modules
if _without_keras:
    sys.modules["keras"] = None  # type: ignore[assignment]
import tensorflow as tf  # noqa: E402 - only now

if _without_keras:
    del sys.modules["keras"]

import numpy as np  # noqa: E402

from worker.engines import in_micro_batches  # noqa: E402
from worker.preprocessing import Float32Array  # noqa: E402

__all__ = ["SIGNATURE", "TensorFlowEngine", "compute_with", "tf"]

SIGNATURE = "serving_default"


class TensorFlowEngine:
    """An exported graph as TensorFlow runs it: there is no Python of Keras' in it any more, and nothing to trace."""

    name = "tensorflow"
    precision = "f32"

    def __init__(self, saved_model: Path, *, micro_batches: Sequence[int], threads: int) -> None:
        """Loads the graph, in a process in which TensorFlow has not computed anything yet.

        Args:
            micro_batches: how many images are computed at once; 1 is among them.
        """
        compute_with(threads)
        self._loaded = tf.saved_model.load(str(saved_model))  # what it holds lives as long as it does
        self._run = self._loaded.signatures[SIGNATURE]
        self._sizes = tuple(micro_batches)
        self.micro_batch = max(micro_batches)

    def predict(self, batch: Float32Array) -> Float32Array:
        """See `ModelEngine.predict`."""
        parts = [
            next(iter(self._run(tf.constant(batch[piece], tf.float32)).values())).numpy()
            for piece in in_micro_batches(len(batch), self._sizes)
        ]
        return np.concatenate(parts).reshape(len(batch), -1)


def compute_with(threads: int) -> None:
    """Sets how many threads compute; to be called before TensorFlow has computed anything."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
