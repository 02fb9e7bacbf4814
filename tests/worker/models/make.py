"""Made the files beside it: one small classifier, saved by each Keras there was, and what that Keras answered.

    python make.py FOLDER keras h5 joblib      # in an environment with TensorFlow 2.5 to 2.15, or with Keras 3

It has what is found in the wild: augmentation called with training=True, a fixed batch size, nested models, arithmetic
outside of layers. Answers are those of the same weights without the augmentation.
"""

from __future__ import annotations  # TensorFlow 2.5 needs Python 3.8

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

try:
    import keras

    assert keras.__version__.startswith("3")
except (ImportError, AssertionError):
    import keras as keras_package
    from tensorflow import keras

VERSION = getattr(keras, "__version__", None) or keras_package.__version__
KERAS_3 = VERSION.startswith("3")
FOLDER = Path(sys.argv[1])
layers = keras.layers
augmenting = layers if hasattr(layers, "RandomFlip") else layers.experimental.preprocessing


def build(*, training: bool | None, nested: bool = True) -> Any:
    """The classifier; its augmentation is a model of its own, or layers of this one."""
    random = [augmenting.RandomFlip("horizontal"), augmenting.RandomRotation(0.2), augmenting.RandomZoom(0.2)]
    if nested:
        random = [keras.Sequential(random, name="data_augmentation")]
    inputs = keras.Input((16, 16, 3), batch_size=32)
    x = inputs
    for layer in random:
        x = layer(x, training=training) if training else layer(x)
    x = x / 127.5 - 1.0
    x = layers.Conv2D(4, 3, strides=2, activation="relu")(x)
    x = layers.DepthwiseConv2D(3)(x)
    block = [layers.Conv2D(4, 1), layers.BatchNormalization(), layers.Conv2D(6, 1), layers.LeakyReLU()]
    x = keras.Sequential(block, name="block")(x)
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x))


def save(model: Any, name: str, answers: dict[str, Any]) -> None:
    """The file and its answers."""
    if name.endswith(".joblib"):
        import joblib

        joblib.dump({"model": model, "labels": np.array(["a", "b", "c"], dtype=object)}, FOLDER / name)
    else:
        model.save(str(FOLDER / name))
    images = np.random.default_rng(0).uniform(0, 255, (32, 16, 16, 3)).astype(np.float32)
    answers[name] = np.asarray(plain(images, training=False))[:4].round(7).tolist()


random = np.random.default_rng(1)
plain = build(training=None)
shapes = [value.shape for value in plain.get_weights()]
plain.set_weights(
    [random.uniform(0.2, 0.8, shape) if len(shape) == 1 else random.normal(0, 0.7, shape) for shape in shapes]
)
recorded = FOLDER / "answers.json"
answers = json.loads(recorded.read_text()) if recorded.exists() else {}
for suffix in sys.argv[2:]:
    model = build(training=True, nested=not (KERAS_3 and suffix == "h5"))
    model.set_weights(plain.get_weights())
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    save(model, f"keras-{VERSION.rpartition('.')[0]}.{suffix}", answers)
recorded.write_text(json.dumps(answers, indent=1, sort_keys=True) + "\n")
