"""Repairs of a configuration before it is loaded: one table, each entry with its reason.

A repair changes what a newer or older Keras stumbles over, and what would make the model answer at random; it never
changes what the author's model computes at inference. Layers are replaced where they stand, never taken out: archives
of Keras name weights by the place of their layer among those of its class, and HDF5 files by its place in the order.
"""

import inspect
from collections.abc import Callable
from typing import Any

from worker.readers import Unreadable
from worker.readers.kerasfile import KerasFile, Layer, dicts_in, layers_in, name_of
from worker.readers.libraries import Library

# identity at inference in every version; Keras 2 named some of them experimental.preprocessing.…
_AUGMENTATION = {
    *("AugMix", "CutMix", "GaussianDropout", "GaussianNoise", "MixUp", "RandAugment", "RandomBrightness"),
    *("RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomElasticTransform", "RandomErasing"),
    *("RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHeight", "RandomHue", "RandomInvert"),
    *("RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness"),
    *("RandomShear", "RandomTranslation", "RandomWidth", "RandomZoom"),
    "FixedDropout",  # of the package `efficientnet`: a Dropout
}
_REDUCED = {"mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64"}
_SAYS_NOTHING: tuple[Any, ...] = (None, False, "", [], {})
_CHANGES_NOTHING = {
    "groups": (1,),  # DepthwiseConv2D of Teachable Machine and of Keras 2.2: it never had another value
    "synchronized": (True,),  # BatchNormalization: between devices, while training
    "autocast": (True,),  # the default
    "data_format": ("channels_last",),  # the default, on layers that had no choice before Keras 3
}
_TAKEN_BY_EVERY_LAYER = {"name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape", "input_dim"}


def _no_training(layer: Layer, library: Library, file: KerasFile) -> str:
    """Keras 2 obeys training=True of a saved call at inference, too: a Dropout then answers at random.

    What it computes without is the mean of those answers. Keras 3 overrules such calls, and records them itself for
    every random layer.
    """
    calls = [call for call in dicts_in(layer.get("inbound_nodes")) if call.get("training") is True]
    for call in calls:
        del call["training"]
    if not calls or file.version >= (3,):
        return ""
    for inner in layers_in(layer):
        if inner["class_name"].startswith("BatchNormalization") and inner["config"].get("trainable", True):
            raise Unreadable(
                f"its layer {name_of(layer)} is called with training=True and normalizes each image by the others of "
                "its batch: build the model with training=False, load the weights into it, and save that"
            )
    return name_of(layer)


def _identity(layer: Layer, library: Library, file: KerasFile) -> str:
    """Random layers are identity at inference, but their operations defeat conversion; newer ones are unknown here."""
    if layer["class_name"] not in _AUGMENTATION:
        return ""
    _replace(layer, "Activation", activation="linear")
    return name_of(layer)


def _crop(layer: Layer, library: Library, file: KerasFile) -> str:
    """RandomCrop resizes and crops at inference in Keras 2 and to 3.5; 3.6 crops otherwise, 3.8 passes the image on."""
    if layer["class_name"] != "RandomCrop" or file.version < (3,) or file.version >= (3, 8):
        return ""
    if file.version >= (3, 6):
        raise Unreadable(
            f"its layer {name_of(layer)} crops at inference as only Keras 3.6 and 3.7 did: save the model without it"
        )
    config = layer["config"]
    _replace(layer, "Resizing", height=config["height"], width=config["width"], crop_to_aspect_ratio=True)
    return ""


def _operation(layer: Layer, library: Library, file: KerasFile) -> str:
    """Keras 3 writes operations such as `x / 255` to HDF5 without their module, and cannot read them back."""
    config = layer["config"]
    if not file.hdf5 or library.package != "keras" or "module" in layer or "trainable" in config:
        return ""
    if module := library.operation_module(layer["class_name"]):
        layer.update(module=module, registered_name=None)
    return ""


def _single_ends(layer: Layer, library: Library, file: KerasFile) -> str:
    """Keras 2 and 3.0 wrote a single input or output as a list of one, which newer ones take at its word."""
    config = layer["config"]
    for end in ("input_layers", "output_layers"):
        ends = config.get(end) if isinstance(config, dict) else None
        if library.package == "keras" and isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list):
            config[end] = ends[0]
    return ""


def _any_batch(layer: Layer, library: Library, file: KerasFile) -> str:
    """A batch size that was fixed in training is no part of the weights."""
    config = layer["config"] if isinstance(layer["config"], dict) else {}
    build = layer.get("build_config") or {}
    fixed = ""
    for holder, key in (
        (config, "batch_input_shape"),
        (config, "batch_shape"),
        (config, "build_input_shape"),
        (build, "input_shape"),
    ):
        shape = holder.get(key)
        shape = shape.get("items") if isinstance(shape, dict) else shape  # a TensorShape
        if isinstance(shape, list) and shape and isinstance(shape[0], int):
            fixed, shape[0] = fixed or (str(shape[0]) if holder is config else ""), None
    return fixed


def _float32(layer: Layer, library: Library, file: KerasFile) -> str:
    """Policies are dicts in Keras 3 and before TF 2.4, names elsewhere; weights are float32 under the mixed ones."""
    config = layer["config"]
    if not isinstance(config, dict) or "dtype" not in config:
        return ""
    policy = config["dtype"]
    if isinstance(policy, dict):
        if policy.get("class_name") not in ("DTypePolicy", "Policy", "PolicyV1", "FloatDTypePolicy"):
            return ""
        policy = policy["config"]["name"]
    config["dtype"] = "float32" if policy in _REDUCED else policy
    return policy if policy in _REDUCED else ""


def _known_keys(layer: Layer, library: Library, file: KerasFile) -> str:
    """Keys of another version, such as optional, quantization_config, lora_rank, ragged, groups, keep_dims."""
    kind, config = library.layer_class(layer["class_name"]), layer["config"]
    if kind is None or not isinstance(config, dict) or "layers" in config:
        return ""
    constructors = [vars(base)["__init__"] for base in kind.__mro__ if "__init__" in vars(base)]
    known = _TAKEN_BY_EVERY_LAYER.union(*(inspect.signature(each).parameters for each in constructors))
    for key in config.keys() - known:
        value = config[key]
        if value in _SAYS_NOTHING or value in _CHANGES_NOTHING.get(key, ()):
            del config[key]
    return ""


def _moved_modules(layer: Layer, library: Library, file: KerasFile) -> str:
    """Keras 2.12 called keras.engine what is keras.src.engine since 2.13."""
    module = layer.get("module") or ""
    if module.startswith("keras.engine."):
        layer["module"] = module.replace("keras.engine.", "keras.src.engine.", 1)
    return ""


Repair = Callable[[Layer, Library, KerasFile], str]
REPAIRS: tuple[tuple[Repair, str], ...] = (
    (_no_training, "called with training=True, served without"),
    (_identity, "augmentation removed"),
    (_crop, ""),
    (_any_batch, "fixed batch size lifted"),
    (_float32, "reduced precision, computed in float32"),
    (_operation, ""),
    (_single_ends, ""),
    (_moved_modules, ""),
    (_known_keys, ""),
)


def repair(config: Layer, library: Library, file: KerasFile) -> tuple[str, ...]:
    """Repairs the configuration in place for the library; what people should know of it."""
    notes = []
    for change, note in REPAIRS:
        told = [detail for layer in layers_in(config) if (detail := change(layer, library, file))]
        if told:
            notes.append(f"{note}: {', '.join(dict.fromkeys(told))}")
    return tuple(notes)


def _replace(layer: Layer, class_name: str, **config: Any) -> None:
    kept = {key: layer["config"][key] for key in ("name", "dtype", "batch_input_shape") if key in layer["config"]}
    layer.update(class_name=class_name, config={**kept, **config})
    if "module" in layer:
        layer.update(module="keras.layers", registered_name=None)
    layer.pop("build_config", None)
