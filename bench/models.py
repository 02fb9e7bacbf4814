"""`python -m bench.models NAME FOLDER IMAGES`: writes one model folder; the only file here that loads Keras.

Weights are seeded and not trained: speed does not depend on them. The last layer is scaled until the classes differ
clearly, so that comparing engines on the golden images means something.
"""

import json
import sys
from pathlib import Path
from typing import Any

from worker.engines.tensorflow import compute_with  # isort: skip  # first: it sets what TensorFlow reads when imported
import keras
import numpy as np

from bench.workloads import WORKLOADS, Model
from shared.cards import load_card
from shared.imagefile import open_image
from worker.preprocessing import preprocess_image_for_prediction

_CLASSES = ("healthy", "powdery mildew", "rust", "other damage", "no leaf")
_GOLDEN = 6
_SPREAD = 1.5  # deviation of the classes' logits: the best class leads, the others are not zero


def make_model(model: Model, folder: Path, images: Path) -> None:
    """Writes model.keras, card.toml and golden images with what Keras says of them."""
    compute_with(0)  # with as many threads as there are
    keras.utils.set_random_seed(0)
    (folder / "golden").mkdir(parents=True)
    _write_card(model, folder)
    card = load_card(folder / "card.toml")
    golden = sorted(images.glob("*.jpg"))[:_GOLDEN]
    inputs = np.stack([preprocess_image_for_prediction(open_image(path), card) for path in golden])
    network = _NETWORKS[model.name](model)
    _spread_classes(network, inputs)
    network.save(folder / "model.keras")
    reloaded = keras.models.load_model(folder / "model.keras", compile=False)
    entries = []
    for path, one in zip(golden, inputs, strict=True):
        probabilities = np.asarray(reloaded(one[np.newaxis], training=False))[0]
        (folder / "golden" / path.name).write_bytes(path.read_bytes())
        label = _CLASSES[int(probabilities.argmax())]
        entries.append({"file": path.name, "label": label, "probabilities": probabilities.astype(float).tolist()})
    (folder / "golden" / "golden.json").write_text(json.dumps(entries, indent=1))


def _write_card(model: Model, folder: Path) -> None:
    lines = [f'name = "{model.name}"', 'version = "1"', 'file = "model.keras"', "[input]"]
    lines += [f"width_px = {model.width_px}", f"height_px = {model.height_px}", f'scale = "{model.scale}"']
    lines += ['interpolation = "bilinear"']
    for label in _CLASSES:
        lines += ["[[labels]]", f'id = "{label}"']
    (folder / "card.toml").write_text("\n".join(lines) + "\n")


def _small_cnn(model: Model) -> Any:
    layers = [keras.Input((model.height_px, model.width_px, 3))]
    for filters in (16, 32, 64):
        layers += [keras.layers.Conv2D(filters, 3, padding="same", activation="relu"), keras.layers.MaxPooling2D()]
    layers += [keras.layers.Flatten(), keras.layers.Dense(128, activation="relu")]
    return keras.Sequential([*layers, keras.layers.Dense(len(_CLASSES), activation="softmax")])


def _efficientnet(model: Model) -> Any:
    shape = (model.height_px, model.width_px, 3)
    return keras.applications.EfficientNetB0(weights=None, input_shape=shape, classes=len(_CLASSES))


def _vgg16(model: Model) -> Any:
    base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(model.height_px, model.width_px, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(base.output)
    return keras.Model(base.input, keras.layers.Dense(len(_CLASSES), activation="softmax")(pooled))


_NETWORKS = {"cnn": _small_cnn, "efficientnet": _efficientnet, "vgg16": _vgg16}


def _spread_classes(network: Any, inputs: Any) -> None:
    head = network.layers[-1]
    features = keras.Model(network.inputs, head.input)
    mean = np.mean([np.asarray(features(one[np.newaxis], training=False))[0] for one in inputs], 0)
    kernel, bias = head.get_weights()
    head.set_weights([kernel * (_SPREAD / (mean @ kernel).std()), bias])


if __name__ == "__main__":
    wanted = {workload.model.name: workload.model for workload in WORKLOADS.values()}
    make_model(wanted[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3]))
