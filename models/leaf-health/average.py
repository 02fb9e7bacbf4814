"""A running average of the weights, which judges better than the last ones."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

LONGEST = 0.998


class Average:
    """Follows all weights of a network, the moving statistics of its normalisation too."""

    def __init__(self, network: keras.Model) -> None:
        """Start from the present weights."""
        self.network = network
        self.variables = [keras.Variable(value, trainable=False) for value in network.weights]
        self.steps = keras.Variable(0.0, trainable=False)
        self.variables.append(self.steps)

    @tf.function  # type: ignore[untyped-decorator]
    def update(self) -> None:
        """Move towards the present weights, fast at first."""
        self.steps.assign_add(1.0)
        part = 1.0 - tf.minimum(LONGEST, (1.0 + self.steps.value) / (10.0 + self.steps.value))
        for kept, weight in zip(self.variables[:-1], self.network.weights, strict=True):
            kept.value.assign_add(part * (tf.cast(weight.value, kept.dtype) - kept.value))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Lend the averaged weights to the network."""
        own = [np.array(weight) for weight in self.network.weights]
        for weight, kept in zip(self.network.weights, self.variables[:-1], strict=True):
            weight.assign(kept)
        try:
            yield
        finally:
            for weight, value in zip(self.network.weights, own, strict=True):
                weight.assign(value)
