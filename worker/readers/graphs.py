"""Traced graphs of TensorFlow: their operations as `worker.facts` reads them, and freed of a fixed batch size."""

from collections.abc import Callable
from typing import Any

import numpy as np
from tensorflow.python.framework.convert_to_constants import _run_inline_graph_optimization

from worker.engines.tensorflow import tf
from worker.facts import MOST_NUMBERS, Node, Numbers

_SAME = 1e-4  # of any output: the graph without its batch size computes the same
_ODD_BATCH = 3  # images, more than one and no batch size that anybody fixes


def read_nodes(traced: Any) -> dict[str, Node]:
    """The operations by name, functions put in their place; of the weights only small ones are looked at."""
    captured = {inside.op.name: _few_numbers(outside) for outside, inside in traced.graph.captures}
    graph = {}
    for node in _inlined(traced).node:
        value = captured.get(node.name)
        if node.op == "Const":
            value = _few_numbers(tf.make_ndarray(node.attr["value"].tensor))
        inputs = tuple(name.split(":")[0] for name in node.input if not name.startswith("^"))
        graph[node.name] = Node(node.op, inputs, value)
    return {name: _with_turn(node, graph) for name, node in graph.items()}


def without_batch_size(compute: Callable[[Any], Any], traced: Any) -> Callable[[Any], Any] | None:
    """What a traced graph computes, for any number of images; None where its batch size is a part of it.

    Args:
        compute: calls the graph with a batch of its size.
    """
    size, *shape = traced.inputs[0].shape
    lifted: Callable[[Any], Any] = tf.function(_importing(traced))
    images = np.random.default_rng(0).uniform(0, 1, (_ODD_BATCH, *shape)).astype(np.float32)
    images[1:] *= 255  # one in 0–1, the others as pixels are
    images = tf.cast(images, traced.inputs[0].dtype)
    try:
        found = lifted(images).numpy()
    except (ValueError, TypeError, tf.errors.OpError):  # its reshapes count on the size
        return None
    expected = [tf.nest.flatten(compute(tf.repeat(images[at : at + 1], size, 0)))[0][0] for at in range(_ODD_BATCH)]
    same = found.shape == (_ODD_BATCH, *expected[0].shape) and np.allclose(found, expected, atol=_SAME)
    return lifted if same else None


def _importing(traced: Any) -> Callable[[Any], Any]:
    """Puts a copy of the graph wherever it is called, with its variables and another input."""
    content = _inlined(traced)
    inside = {placeholder.op.name: outside for outside, placeholder in traced.graph.captures}
    image, answer = traced.inputs[0].op.name, traced.outputs[0].name
    kept = [node for node in content.node if node.name not in inside and node.name != image]
    del content.node[:]
    content.node.extend(kept)
    read = {name.split(":")[0] for node in kept for name in node.input}
    for node in content.node:
        node.attr.pop("_class", None)  # "on the same device as" what is not there any more

    def imported(batch: Any) -> Any:
        graph = tf.compat.v1.get_default_graph()
        feeds = {f"{name}:0": graph.capture(outside) for name, outside in inside.items() if name in read}
        feeds[f"{image}:0"] = batch
        for variable in traced.variables:
            graph.watch_variable(variable)  # or the export would not know whose the handles are
        return tf.graph_util.import_graph_def(content, input_map=feeds, return_elements=[answer])[0]

    return imported


def _inlined(traced: Any) -> Any:
    return _run_inline_graph_optimization(traced, lower_control_flow=False, aggressive_inlining=True)


def _few_numbers(tensor: Any) -> Numbers | None:
    """The numbers of a constant, or of a variable by its handle, where they are few."""
    if getattr(tensor, "dtype", None) == tf.resource:
        data = tensor._handle_data
        if data is None or not data.shape_and_type:
            return None
        kind = data.shape_and_type[0]
        if (tf.TensorShape(kind.shape).num_elements() or MOST_NUMBERS + 1) > MOST_NUMBERS:
            return None
        tensor = tf.raw_ops.ReadVariableOp(resource=tensor, dtype=kind.dtype)
    numbers = np.asarray(tensor)
    return numbers.astype(np.float64) if numbers.dtype.kind in "fiu" and numbers.size <= MOST_NUMBERS else None


def _with_turn(node: Node, graph: dict[str, Node]) -> Node:
    """Marks `x[..., ::-1]`."""
    if node.op != "StridedSlice" or (steps := graph[node.inputs[3]].value) is None:
        return node
    turned = steps.size > 1 and steps.ravel()[-1] == -1
    return Node(node.op, node.inputs, node.value, backwards=bool(turned))
