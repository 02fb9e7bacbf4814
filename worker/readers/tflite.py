"""`.tflite` files, of float32 and of 8-bit integers: their facts by the flatbuffer, their answers by TFLite."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from shared.cards import Card
from worker.conversion import TFLITE
from worker.engines.tensorflow import tf
from worker.engines.tflite import TfliteEngine
from worker.facts import MOST_NUMBERS, ModelFacts, Node, Numbers, read_activation, read_front
from worker.preprocessing import Float32Array
from worker.readers import Unreadable
from worker.readers.shapes import Shape, require_class_outputs, require_image_input

# TensorFlow Lite's names of operations in TensorFlow's; what is not here stands for itself
_OPERATIONS = {
    "ADD": "AddV2", "SUB": "Sub", "MUL": "Mul", "DIV": "RealDiv", "CAST": "Cast", "RESHAPE": "Reshape",
    "SQUEEZE": "Squeeze", "EXPAND_DIMS": "ExpandDims", "QUANTIZE": "Quantize", "DEQUANTIZE": "Dequantize",
    "CONV_2D": "Conv2D", "DEPTHWISE_CONV_2D": "Conv2D", "FULLY_CONNECTED": "MatMul", "MEAN": "Mean",
    "AVERAGE_POOL_2D": "AvgPool", "SOFTMAX": "Softmax", "LOGISTIC": "Sigmoid", "TANH": "Tanh", "RELU": "Relu",
    "RELU6": "Relu6", "RESIZE_BILINEAR": "ResizeBilinear", "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor",
    "REVERSE_V2": "ReverseV2", "SHAPE": "Shape",
}  # fmt: skip
_FUSED = {1: "Relu", 2: "Relu", 3: "Relu6", 4: "Tanh"}  # ActivationFunctionType, done at the end of an operation
_NUMPY = {
    name: getattr(np, name.lower())
    for name in ("FLOAT32", "FLOAT16", "INT32", "UINT8", "INT64", "INT8", "INT16")
}  # fmt: skip
_TYPES = {value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
_BUILTIN = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


class TfliteNetwork:
    """See `worker.convert.Network`."""

    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, threads: int) -> None:
        """Reads the file.

        Raises:
            Unreadable: it is damaged, or no image classifier.
        """
        self.library = f"tensorflow lite {tf.__version__}"
        self._path, self._threads = path, threads
        try:
            content = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
            graph, inputs, outputs = _read_graph(content)
        except Exception as error:  # a damaged flatbuffer points anywhere
            raise Unreadable("the file is truncated or damaged: copy it again from where it was made") from error
        shape = require_image_input([(_name(one), _shape(one)) for one in inputs])
        count = require_class_outputs([(_name(one), _shape(one)) for one in outputs])
        front = read_front(graph, "input")
        byte_range = _byte_range(inputs[0])
        takes_bytes = _TYPES[inputs[0].type] == "UINT8"
        self.facts = ModelFacts(
            height_px=shape[1],
            width_px=shape[2],
            channels=shape[3],
            outputs=count,
            activation=read_activation(graph, "output"),
            rescaling=front.text,
            takes_pixels=takes_bytes or (bool(front.text) and front.takes_pixels),
            resized_to=front.resized_to,
            resized_by=front.resized_by,
            byte_range=byte_range,
        )

    def answer(self, images: Float32Array, card: Card) -> Float32Array:
        """What TensorFlow Lite answers."""
        try:
            engine = TfliteEngine(self._path, card, threads=self._threads)
            return engine.predict(images)
        except (ValueError, RuntimeError) as error:
            first_line = (str(error).strip().splitlines() or [""])[0][:200]
            raise Unreadable(f"TensorFlow Lite cannot run it ({first_line})") from error

    def export(self, target: Path, images: Float32Array, card: Card) -> Float32Array:
        """Copies the file; it is what serves where OpenVINO does not."""
        shutil.copyfile(self._path, target / TFLITE)
        return self.answer(images, card)


def _read_graph(content: Any) -> tuple[dict[str, Node], list[Any], list[Any]]:
    """The graph in TensorFlow's terms, its input called "input" and its output "output"; and both as they stand."""
    (part, *_) = content.subgraphs
    called = {part.inputs[0]: "input"}
    graph = {"input": Node("Placeholder")}
    for index, tensor in enumerate(part.tensors):
        if (value := _few_numbers(tensor, content.buffers[tensor.buffer].data)) is not None:
            graph[str(index)] = Node("Const", (), value)
    for operation in part.operators:
        code = content.operatorCodes[operation.opcodeIndex]
        kind = _BUILTIN.get(max(code.builtinCode, code.deprecatedBuiltinCode), "")
        fused = _FUSED.get(getattr(operation.builtinOptions, "fusedActivationFunction", 0))
        read = tuple(called.get(index, str(index)) for index in operation.inputs if index >= 0)
        for index in operation.outputs:
            graph[str(index)] = Node(fused or _OPERATIONS.get(kind, kind), read)
    graph["output"] = Node("Identity", (called.get(part.outputs[0], str(part.outputs[0])),))
    return graph, [part.tensors[index] for index in part.inputs], [part.tensors[index] for index in part.outputs]


def _few_numbers(tensor: Any, data: Any) -> Numbers | None:
    kind = _NUMPY.get(_TYPES[tensor.type])
    if data is None or kind is None or not 0 < len(data) <= MOST_NUMBERS * np.dtype(kind).itemsize:
        return None
    numbers = np.frombuffer(bytes(data), kind).astype(np.float64)
    if (given := tensor.quantization) is None or given.scale is None:
        return numbers
    # one scale for each channel: weights
    return (numbers - float(given.zeroPoint[0])) * float(given.scale[0]) if len(given.scale) == 1 else None


def _byte_range(tensor: Any) -> tuple[float, float] | None:
    """The real numbers that the smallest and the largest byte stand for."""
    kind, given = _TYPES[tensor.type], tensor.quantization
    if kind not in ("UINT8", "INT8") or given is None or given.scale is None:
        return None
    limits, scale, zero = np.iinfo(_NUMPY[kind]), float(given.scale[0]), int(given.zeroPoint[0])
    return (limits.min - zero) * scale, (limits.max - zero) * scale


def _shape(tensor: Any) -> Shape:
    given = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    return None if given is None else tuple(None if size < 0 else int(size) for size in given)


def _name(tensor: Any) -> str:
    return bytes(tensor.name or b"").decode(errors="replace")
