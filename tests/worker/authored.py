"""`python -m tests.worker.authored FOLDER`: tiny models of every format, and what becomes of each in a conversion.

All in one process, for TensorFlow takes seconds to come up. FOLDER/outcomes.json: by name the card with the answers of
the model itself and of what was exported, or the sentence of the refusal.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from worker.engines.tensorflow import tf  # isort: skip  # first: it sets what TensorFlow reads when imported
import keras

from shared.errors import OperatorError
from shared.settings import Settings
from worker.convert import convert
from worker.readers import Unreadable
from worker.served import find_source

layers = keras.layers
SHAPE = (12, 16, 3)  # height, width, channels


def network(*front: Any, shape: Any = SHAPE, activation: str | None = "softmax", outputs: int = 3) -> Any:
    """A classifier with these layers before its first with weights."""
    tensor = image = keras.Input(shape)
    for layer in front:
        tensor = layer(tensor)
    tensor = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(tensor))
    return keras.Model(image, layers.Dense(outputs, activation=activation)(tensor))


def _signature(folder: Path, compute: Callable[[Any], Any], shape: Any, dtype: Any, model: Any) -> None:
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    traced = tf.function(compute).get_concrete_function(tf.TensorSpec(shape, dtype, name="photo"))
    tf.saved_model.save(module, str(folder), signatures=traced)


def _lite(file: Path, model: Any, kind: Any = None) -> None:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind is not None:
        random = np.random.default_rng(0)
        photos = [random.uniform(-1, 1, (1, *SHAPE)).astype(np.float32) for _ in range(20)]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([photo] for photo in photos)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = kind
    file.write_bytes(converter.convert())


def author(folder: Path) -> dict[str, dict[str, Any]]:
    """Writes the models; by name the settings under which each is converted."""
    keras.utils.set_random_seed(0)
    plain, scaled = network(), {"model_scale": "1/255"}
    image = keras.Input(SHAPE)
    pooled = layers.GlobalAveragePooling2D()(image)
    named: dict[str, tuple[Any, dict[str, Any]]] = {
        "rescaled.keras": (network(layers.Rescaling(1 / 127.5, -1)), {}),
        "normalized.keras": (network(layers.Normalization(mean=[120, 121, 122], variance=[2500, 2601, 2704])), {}),
        "resized.h5": (network(layers.Resizing(12, 16), layers.Rescaling(1 / 255), shape=(None, None, 3)), {}),
        "any_size.keras": (network(shape=(None, None, 1)), {**scaled, "image_width_px": 8, "image_height_px": 9}),
        "squeezed.keras": (keras.Model(image, layers.Softmax()(layers.Conv2D(3, (12, 16))(image))), scaled),
        "twice.keras": (network(layers.Rescaling(1 / 255)), scaled),
        "tanh.keras": (network(activation="tanh"), scaled),
        "branches.keras": (keras.Model(image, [layers.Dense(3)(pooled), layers.Dense(2)(pooled)]), scaled),
        "segments.keras": (keras.Model(image, layers.Conv2D(3, 3)(image)), scaled),
        "squares.keras": (keras.Model(image, layers.Multiply()([pooled, pooled])), {"model_scale": "-1..1"}),
    }
    for name, (model, _) in named.items():
        model.save(folder / name)
    plain.export(str(folder / "exported"), verbose=False)
    _signature(folder / "fixed", lambda photo: {"p": plain(photo / 255)}, (4, *SHAPE), tf.float32, plain)
    of_bytes, random = (
        lambda photo: plain(tf.cast(photo, tf.float32) / 255),
        lambda photo: plain(photo + tf.random.uniform((1, *SHAPE))),
    )
    _signature(folder / "bytes", of_bytes, (None, *SHAPE), tf.uint8, plain)
    _signature(folder / "random", random, (None, *SHAPE), tf.float32, plain)
    tf.saved_model.save(tf.Module(), str(folder / "unsigned"))
    _lite(folder / "float.tflite", plain)
    _lite(folder / "uint8.tflite", plain, tf.uint8)
    _lite(folder / "int8.tflite", plain, tf.int8)
    (folder / "cut.tflite").write_bytes((folder / "float.tflite").read_bytes()[:1500])
    told = {name: settings for name, (_, settings) in named.items()}
    told |= {name: {} for name in ("fixed", "bytes", "unsigned", "uint8.tflite")}
    return told | dict.fromkeys(("exported", "random", "float.tflite", "int8.tflite", "cut.tflite"), scaled)


def outcome(folder: Path, name: str, told: dict[str, Any]) -> dict[str, Any]:
    """What becomes of one model."""
    target = folder / "converted" / name
    target.mkdir(parents=True)
    settings = Settings(
        _env_file=None, **{"labels": "a,b,c", "model_path": str(folder / name), "worker_threads": 1, **told}
    )
    try:
        convert(find_source(settings), settings, "ab" * 32, target)
    except (Unreadable, OperatorError) as refusal:
        return {"refused": str(refusal)}
    found: dict[str, Any] = json.loads((target / "converted.json").read_text())
    return {**found, "answers": np.load(target / "keras.npy").tolist(), "probe": np.load(target / "probe.npy").shape}


def main(folder: Path) -> None:
    """Writes FOLDER/outcomes.json."""
    found = {name: outcome(folder, name, told) for name, told in author(folder).items()}
    (folder / "outcomes.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
