"""What a graph does to the pixels first and to the numbers last is read off it, whatever wrote it."""

import numpy as np
import pytest

from worker.facts import Front, Node, read_activation, read_front


def _const(*numbers: float) -> Node:
    return Node("Const", (), np.array(numbers))


def _chain(*nodes: tuple[str, Node]) -> Front:
    """The front of a graph whose input is x."""
    return read_front({"x": Node("Placeholder"), **dict(nodes), "conv": Node("Conv2D", (nodes[-1][0], "w"))}, "x")


def test_a_rescaling_is_read_as_people_write_it() -> None:
    found = _chain(
        ("k", _const(1 / 127.5)),
        ("scaled", Node("Mul", ("x", "k"))),
        ("one", _const(1)),
        ("shifted", Node("Sub", ("scaled", "one"))),
    )
    assert (found.text, found.takes_pixels) == ("x/127.5 - 1", True)


def test_a_normalization_by_channel_is_computed_from_its_variance() -> None:
    found = _chain(
        ("mean", _const(120, 121, 122)),
        ("centred", Node("Sub", ("x", "mean"))),
        ("variance", _const(2500, 2601, 2704)),
        ("root", Node("Sqrt", ("variance",))),
        ("least", _const(1e-7)),
        ("deviation", Node("Maximum", ("root", "least"))),
        ("divided", Node("RealDiv", ("centred", "deviation"))),
    )
    assert (found.text, found.takes_pixels) == ("(x - [120, 121, 122]) / [50, 51, 52]", True)


@pytest.mark.parametrize(
    ("factor", "offset", "pixels"),
    [
        (1 / 255, 0.0, True),
        (2.0, -1.0, False),  # of what was scaled to 0–1, as modules of TensorFlow Hub do
        (127.5, 127.5, False),  # back from -1..1
        (4.4, -2.1, False),  # ImageNet's, after 1/255
        (1.0, -120.0, True),
    ],
)
def test_the_numbers_say_whether_pixels_go_in(factor: float, offset: float, *, pixels: bool) -> None:
    nodes = (("a", _const(factor)), ("ax", Node("Mul", ("a", "x"))), ("b", _const(offset)))
    assert _chain(*nodes, ("sum", Node("AddV2", ("ax", "b")))).takes_pixels == pixels


def test_caffes_front_turns_the_colours() -> None:
    means = _const(103.939, 116.779, 123.68)
    found = _chain(
        ("bgr", Node("StridedSlice", ("x",), backwards=True)), ("m", means), ("y", Node("Sub", ("bgr", "m")))
    )
    assert found.text == "RGB turned into BGR, x - [103.9, 116.8, 123.7]"
    assert found.takes_pixels


def test_a_resizing_says_width_and_height_by_name() -> None:
    found = _chain(
        ("size", _const(4, 8)), ("small", Node("ResizeBilinear", ("x", "size"))), ("s", Node("Shape", ("x",)))
    )
    assert (found.resized_to, found.resized_by, found.text) == ((8, 4), ("bilinear", False), "")


def test_what_was_learnt_is_no_rescaling() -> None:
    found = _chain(
        ("variance", _const(9)),
        ("root", Node("Rsqrt", ("variance",))),  # batch normalization
        ("scaled", Node("Mul", ("x", "root"))),
    )
    assert found.text == ""


@pytest.mark.parametrize(
    ("op", "activation"),
    [("Softmax", "softmax"), ("Sigmoid", "sigmoid"), ("Tanh", "tanh"), ("BiasAdd", "linear"), ("LogSoftmax", "other")],
)
def test_the_last_operation_is_found_behind_what_changes_no_number(op: str, activation: str) -> None:
    graph = {"x": Node("Placeholder"), "last": Node(op, ("x",)), "flat": Node("Reshape", ("last",))}
    assert read_activation({**graph, "answer": Node("Identity", ("flat",))}, "answer") == activation


def test_a_bias_after_a_product_is_linear_and_a_sum_of_branches_is_left_open() -> None:
    graph = {
        "x": Node("Placeholder"),
        "product": Node("MatMul", ("x",)),
        "b": _const(1),
        "soft": Node("Softmax", ("x",)),
    }
    assert read_activation({**graph, "sum": Node("AddV2", ("product", "b"))}, "sum") == "linear"
    assert read_activation({**graph, "sum": Node("AddV2", ("soft", "soft"))}, "sum") == "other"
