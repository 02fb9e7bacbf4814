"""The OpenVINO engine: starts in half a second and needs no TensorFlow."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from worker.engines import in_micro_batches
from worker.preprocessing import Float32Array

FULL_PRECISION = "f32"
_REDUCED = {"BF16": "bf16", "FP16": "f16"}  # the CPU's capability and the hint that uses it


class OpenVinoEngine:
    """A converted model compiled for fixed shapes: one image, and one micro-batch."""

    name = "openvino"

    def __init__(self, model_xml: Path, *, precision: str, micro_batch: int, threads: int) -> None:
        """Compiles the model for the CPU it runs on.

        Args:
            precision: "f32", or a reduced one this CPU offers; one it does not offer becomes "f32".
            micro_batch: images computed at once, ≥ 1.
        """
        core = ov.Core()
        self.precision = precision if precision in offered_precisions(core) else FULL_PRECISION
        self._micro_batch = micro_batch
        self._requests = {
            size: _compile(core, model_xml, size, self.precision, threads).create_infer_request()
            for size in {1, micro_batch}
        }

    def predict(self, batch: Float32Array) -> Float32Array:
        """See `ModelEngine.predict`."""
        parts = []
        for piece in in_micro_batches(len(batch), self._micro_batch):
            request = self._requests[piece.stop - piece.start]
            # shared memory: OpenVINO reads the array where it lies; the output is copied before the next run
            outputs: Any = request.infer([batch[piece]], share_inputs=True, share_outputs=True)
            parts.append(np.array(outputs[0], np.float32).reshape(piece.stop - piece.start, -1))
        return np.concatenate(parts)


def offered_precisions(core: ov.Core | None = None) -> list[str]:
    """What this CPU computes fast, reduced precisions first, "f32" last."""
    capabilities = (core or ov.Core()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [hint for capability, hint in _REDUCED.items() if capability in capabilities] + [FULL_PRECISION]


def convert_saved_model(saved_model: Path, target_xml: Path) -> None:
    """Writes OpenVINO's form of a SavedModel: one .xml and one .bin beside it, weights in float32."""
    ov.save_model(ov.convert_model(saved_model), target_xml, compress_to_fp16=False)


def _compile(core: ov.Core, model_xml: Path, size: int, precision: str, threads: int) -> ov.CompiledModel:
    model = core.read_model(model_xml)
    shape = model.input(0).partial_shape
    shape[0] = size
    model.reshape(shape)
    return core.compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # in a container the pinned core may be somebody else's
        },
    )
