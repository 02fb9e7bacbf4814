"""The OpenVINO engine: starts in half a second and needs no TensorFlow."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from worker.engines import in_micro_batches
from worker.preprocessing import Float32Array

# OpenVINO's package brings in its converter, which reports every import to Google Analytics unless somebody has opted
# out. Of the two the first is half of the start (150 of 230 ms, 16 MB), so only `convert_model` has it.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402 - only now
from openvino.preprocess import PrePostProcessor  # noqa: E402

FULL_PRECISION = "f32"
_REDUCED = {"BF16": "bf16", "FP16": "f16"}  # the CPU's capability and the hint that uses it


class OpenVinoEngine:
    """A converted model compiled for fixed batch sizes; a size that may vary costs up to a quarter more an image."""

    name = "openvino"

    def __init__(self, model_xml: Path, *, precision: str, micro_batches: Sequence[int], threads: int) -> None:
        """Compiles the model for the CPU it runs on.

        Args:
            precision: "f32", or a reduced one this CPU offers; one it does not offer becomes "f32".
            micro_batches: how many images are computed at once; with 1 among them, any number can be.
        """
        core = ov.Core()
        self.precision = precision if precision in offered_precisions(core) else FULL_PRECISION
        self.micro_batch = max(micro_batches)
        compiled = {size: _compile(core, model_xml, size, self.precision, threads) for size in sorted(micro_batches)}
        self._requests = {size: model.create_infer_request() for size, model in compiled.items()}
        self._outputs = compiled[self.micro_batch].output(0).partial_shape[-1].get_length()

    def predict(self, batch: Float32Array) -> Float32Array:
        """See `ModelEngine.predict`."""
        batch = np.ascontiguousarray(batch, np.float32)  # what is right already is not copied
        outputs = np.empty((len(batch), self._outputs), np.float32)
        for piece in in_micro_batches(len(batch), tuple(self._requests)):
            request = self._requests[piece.stop - piece.start]
            # tensors set and read by hand: `infer(batch)["output"]` does the same and takes 0.1 ms longer
            request.set_input_tensor(ov.Tensor(batch[piece], shared_memory=True))
            request.infer(share_outputs=True)
            outputs[piece] = request.get_output_tensor().data.reshape(-1, self._outputs)
        return outputs


def offered_precisions(core: ov.Core | None = None) -> list[str]:
    """What this CPU computes fast, reduced precisions first, "f32" last."""
    capabilities = (core or ov.Core()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [hint for capability, hint in _REDUCED.items() if capability in capabilities] + [FULL_PRECISION]


def convert_model(exported: Path, target_xml: Path) -> None:
    """Writes OpenVINO's form of a SavedModel or .tflite: one .xml and one .bin beside it, weights in float32.

    Raises:
        ValueError: it takes or gives 8-bit integers, which OpenVINO computes in other steps.
    """
    if sys.modules.get("openvino.tools.ovc") is None:
        sys.modules.pop("openvino.tools.ovc", None)
    from openvino.tools import ovc

    model = ovc.convert_model(exported)
    if not all(port.element_type.is_real() for port in (*model.inputs, *model.outputs)):
        raise ValueError("it takes or gives 8-bit integers")
    ov.save_model(model, target_xml, compress_to_fp16=False)


def _compile(core: ov.Core, model_xml: Path, size: int, precision: str, threads: int) -> ov.CompiledModel:
    model = core.read_model(model_xml)
    shape = model.input(0).partial_shape
    shape[0] = size
    model.reshape(shape)
    # float32 goes in and comes out, whatever the model computes in
    convert = PrePostProcessor(model)
    convert.input().tensor().set_element_type(ov.Type.f32)
    convert.output().tensor().set_element_type(ov.Type.f32)
    return core.compile_model(
        convert.build(),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # in a container the pinned core may be somebody else's
        },
    )
