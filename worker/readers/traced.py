"""A model that TensorFlow can trace, Keras' or a SavedModel's signature: its facts, its answers and its graph."""

from pathlib import Path
from typing import Any

import numpy as np

from shared.cards import Card
from worker.conversion import SAVED_MODEL
from worker.engines.tensorflow import SIGNATURE, tf
from worker.facts import ModelFacts, read_activation, read_front
from worker.preprocessing import Float32Array
from worker.readers import Opened
from worker.readers.graphs import read_nodes
from worker.readers.shapes import require_class_outputs, require_image_input

_IMAGE, _ANSWER = "image", "answer"  # what input and output are called in the graph


class TracedNetwork:
    """See `worker.convert.Network`."""

    def __init__(self, opened: Opened) -> None:
        """Traces the model, for any number of images unless its batch size is fixed: then for one.

        Raises:
            Unreadable: it is no image classifier.
        """
        self.library, self.notes = opened.library, opened.notes
        self._model = opened.model
        inputs, outputs = list(opened.model.inputs), list(opened.model.outputs)
        self._shape = require_image_input([(one.name, _sizes(one.shape)) for one in inputs])
        self._count = require_class_outputs([(one.name, _sizes(one.shape)) for one in outputs])
        self._traced = self._trace(*self._shape[1:3])
        # kept: a new one would begin the same random numbers anew, and random layers pass for certain ones
        self._predict = tf.function(lambda image: _only(self._model(image, training=False)))
        takes_bytes = tf.as_dtype(inputs[0].dtype).is_integer
        graph = read_nodes(self._traced)
        front = read_front(graph, _IMAGE)
        self.facts = ModelFacts(
            height_px=self._shape[1],
            width_px=self._shape[2],
            channels=self._shape[3],
            outputs=self._count,
            activation=read_activation(graph, _ANSWER),
            rescaling=front.text,
            takes_pixels=takes_bytes or (bool(front.text) and front.takes_pixels),
            takes_bytes=takes_bytes,
            resized_to=front.resized_to,
            resized_by=front.resized_by,
        )

    def answer(self, images: Float32Array, card: Card) -> Float32Array:
        """What the author's own framework answers, image by image.

        As `model.predict` computes it, in a graph: one operation after the other it sums in another order, which moved
        a probability of a steep softmax by 0.00014.
        """
        answers = [np.asarray(self._predict(tf.constant(one[None])), np.float32) for one in images]
        return np.stack(answers).reshape(len(images), -1)

    def export(self, target: Path, images: Float32Array, card: Card) -> Float32Array:
        """Writes the graph for images of the card's size, and gives what it answers to these."""
        fixed = None not in self._shape[1:3]
        traced = self._traced if fixed else self._trace(card.height_px, card.width_px)
        module = tf.Module()
        module.weights = list(traced.graph.variables)
        tf.saved_model.save(module, str(target / SAVED_MODEL), signatures={SIGNATURE: traced})
        answers = [traced(tf.constant(one[None])).numpy() for one in images]
        return np.stack(answers).reshape(len(images), -1)

    def _trace(self, height_px: int | None, width_px: int | None) -> Any:
        batch = None if self._shape[0] is None else 1
        spec = tf.TensorSpec((batch, height_px, width_px, self._shape[3]), tf.float32, name=_IMAGE)

        def compute(image: Any) -> Any:
            numbers = tf.cast(_only(self._model(image, training=False)), tf.float32)
            return tf.reshape(numbers, (-1, self._count), name=_ANSWER)

        return tf.function(compute, input_signature=[spec]).get_concrete_function()


def _only(outputs: Any) -> Any:
    """The one tensor of a structure."""
    (output,) = tf.nest.flatten(outputs)
    return output


def _sizes(shape: Any) -> tuple[int | None, ...] | None:
    """The shape in Python's numbers; None for any rank."""
    shape = tf.TensorShape(shape)
    return None if shape.rank is None else tuple(shape.as_list())
