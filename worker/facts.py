"""What a model's own graph says of its contract: what it does to the pixels first, and to the numbers last."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

MOST_NUMBERS = 16  # a constant that is larger is no rescaling of colours, and nobody reads it
_BY_NAME = {"Softmax": "softmax", "Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu", "Relu6": "relu"}
_LINEAR = {"MatMul", "BatchMatMulV2", "BiasAdd", "Conv2D", "Mean", "AvgPool", "Einsum"}
_TRANSPARENT = {"Identity", "Cast", "Reshape", "Squeeze", "StopGradient", "ExpandDims", "Dequantize", "Quantize"}
_SIDEWAYS = {"Shape", "ShapeN", "Size", "Rank", "Assert", "NoOp"}  # they look at an image, and do nothing to it
_RESIZES = {  # the filter, and whether it averages where it shrinks
    "ResizeBilinear": ("bilinear", False),
    "ResizeNearestNeighbor": ("nearest", False),
    "ResizeBicubic": ("bicubic", False),
    "ResizeArea": ("box", True),
    "ScaleAndTranslate": ("bilinear", True),
}
_TAKES_PIXELS = 16.0  # what becomes of 255 in a rescaling that was made for 0–255 is smaller: 4.4 in ImageNet's
_PIXEL_MEAN = 50.0  # a mean that is taken off unscaled pixels is larger: 104 and more in Caffe's


@dataclass(frozen=True, slots=True)
class Node:
    """One operation, under TensorFlow's name for it, with the names of the nodes it reads."""

    op: str
    inputs: tuple[str, ...] = ()
    value: Numbers | None = None  # of a constant or a variable of few numbers
    backwards: bool = False  # a slice that turns the order of its last axis


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the file itself says; sizes in pixels, None where any size is taken."""

    width_px: int | None
    height_px: int | None
    channels: int
    outputs: int
    activation: str = "other"  # the last operation: softmax, sigmoid, tanh, relu, linear or other
    rescaling: str = ""  # what is done to the pixels before the first layer with weights, for people
    takes_pixels: bool = False  # 0–255 go in: the rescaling inside was made for them, or bytes are taken
    takes_bytes: bool = False  # whole numbers from 0 to 255 and nothing else
    resized_to: tuple[int, int] | None = None  # width and height of a resizing inside that any size goes through
    resized_by: tuple[str, bool] | None = None  # its filter, and whether it averages where it shrinks
    byte_range: tuple[float, float] | None = None  # of a quantised input: the real numbers its bytes stand for


@dataclass(frozen=True, slots=True)
class Front:
    """What a graph does to its input before anything that was trained; a·x + b for each channel."""

    factor: Numbers
    offset: Numbers
    turned: bool = False  # RGB becomes BGR
    resized_to: tuple[int, int] | None = None
    resized_by: tuple[str, bool] | None = None

    @property
    def takes_pixels(self) -> bool:
        """Whether the numbers only make sense for 0–255."""
        shrinks = bool((np.abs(self.factor) * 255 <= _TAKES_PIXELS).all())
        return shrinks or bool((np.abs(self.offset) >= _PIXEL_MEAN).all() and (np.abs(self.factor) <= 1).all())

    @property
    def text(self) -> str:
        """For people: "x/127.5 - 1", or nothing."""
        said = [] if not self.turned else ["RGB turned into BGR"]
        if self.factor.size == self.offset.size == 1:
            factor, offset = float(self.factor.item()), float(self.offset.item())
            if (factor, offset) != (1, 0):
                scaled = "x" if factor == 1 else f"x/{1 / factor:.6g}" if 0 < abs(factor) < 1 else f"{factor:.6g}·x"
                said.append(scaled + (f" {'-' if offset < 0 else '+'} {abs(offset):.6g}" if offset else ""))
        elif (self.factor == 1).all():
            said.append(f"x - {_listed(-self.offset)}")
        else:
            said.append(f"(x - {_listed(-self.offset / self.factor)}) / {_listed(1 / self.factor)}")
        return ", ".join(said)


def read_front(graph: Mapping[str, Node], start: str) -> Front:
    """Follows the input through resizing and arithmetic with constants, up to what was trained or goes several ways."""
    readers: dict[str, list[str]] = {}
    for name, node in graph.items():
        for read in node.inputs:
            readers.setdefault(read, []).append(name)
    front = Front(np.ones(1), np.zeros(1))
    at = start
    while True:
        after = [name for name in readers.get(at, []) if graph[name].op not in _SIDEWAYS]
        if len(after) != 1 or (passed := _pass(graph, at, graph[after[0]], front)) is None:
            return front
        at, front = after[0], passed


def read_activation(graph: Mapping[str, Node], end: str) -> str:
    """What the last operation makes of the numbers; see `ModelFacts.activation`."""
    node = graph[end]
    while node.op in _TRANSPARENT | {"StridedSlice"} and node.inputs:
        node = graph[node.inputs[0]]
    if node.op in ("Add", "AddV2"):  # a bias, or two branches
        inner = {graph[name].op for name in node.inputs if name in graph}
        return "linear" if inner & _LINEAR else "other"
    return _BY_NAME.get(node.op, "linear" if node.op in _LINEAR else "other")


def _pass(graph: Mapping[str, Node], at: str, node: Node, front: Front) -> Front | None:
    """The front with one operation more; None where it ends."""
    if node.op in _TRANSPARENT - {"Reshape", "ExpandDims"}:
        return front
    if node.op in _RESIZES:
        size = _constant(graph, node.inputs[1])
        if size is None or size.size != 2:
            return None
        size = size.ravel()
        return replace(front, resized_to=(int(size[1]), int(size[0])), resized_by=_RESIZES[node.op])
    if node.op == "ReverseV2" or node.backwards:
        return replace(front, factor=front.factor[::-1], offset=front.offset[::-1], turned=not front.turned)
    operands = [_constant(graph, name) for name in node.inputs if name != at]
    if len(operands) != 1 or (number := operands[0]) is None:
        return None
    number, first = number.ravel(), node.inputs[0] == at
    if node.op == "Mul":
        return replace(front, factor=front.factor * number, offset=front.offset * number)
    if node.op in ("RealDiv", "Div") and first and number.all():
        return replace(front, factor=front.factor / number, offset=front.offset / number)
    if node.op in ("Add", "AddV2", "BiasAdd"):
        return replace(front, offset=front.offset + number)
    if node.op == "Sub":
        sign = 1 if first else -1
        return replace(front, factor=sign * front.factor, offset=sign * (front.offset - number))
    return None


def _constant(graph: Mapping[str, Node], name: str) -> Numbers | None:
    """A constant, or what is computed from constants as Keras' Normalization does; no batch normalization: Rsqrt."""
    node = graph.get(name)
    if node is None or node.value is not None:
        return None if node is None else node.value
    inputs = [_constant(graph, read) for read in node.inputs]
    known = [value for value in inputs if value is not None]
    if not known or len(known) != len(inputs):
        return None
    match node.op:
        case "Identity" | "Cast" | "ReadVariableOp" | "Reshape":
            return known[0]
        case "Sqrt":
            return np.sqrt(known[0])
        case "Maximum":
            return np.maximum(known[0], known[1])
        case "Neg":
            return -known[0]
    return None


def _listed(numbers: Numbers) -> str:
    return f"[{', '.join(f'{number:.4g}' for number in numbers)}]"
