"""What a Keras file must not need: code of its author's that is not in the file, or code that is."""

from typing import Any

from worker.readers import Unreadable
from worker.readers.kerasfile import Layer, dicts_in, layers_in, name_of
from worker.readers.libraries import Library

# "builtins" is what Keras writes for its own functions, which are looked up by their names
_KERAS = ("keras", "tf_keras", "builtins")
_ADVICE = "replace it by built-in layers or keras.ops, or export the model as a SavedModel where it was trained"
_NOT_OWN = f"which is not Keras' own: {_ADVICE}"
# of TensorFlow's functions, which Keras 2 records by name: these reach files and other code, safe mode or not
_REACHING_OUT = {"io", "raw_ops", "py_function", "numpy_function", "saved_model", "summary", "data", "train", "print"}


def refuse_code(config: Layer) -> None:
    """Refuses Lambda layers, functions of TensorFlow that reach out of the model, and what is not Keras' own.

    Raises:
        Unreadable: names the layer.
    """
    for layer in layers_in(config):
        if layer["class_name"] == "Lambda" or _holds_code(layer):
            raise Unreadable(f"its layer {name_of(layer)} runs code of its author (a lambda): {_ADVICE}")
        if layer["class_name"] == "TFOpLambda":
            function = str(layer["config"].get("function"))
            if _REACHING_OUT & set(function.split(".")):
                raise Unreadable(f"its layer {name_of(layer)} calls tf.{function}, which no image classifier needs")
        if _is_foreign(layer):
            raise Unreadable(f"its layer {name_of(layer)} is of the class {layer['class_name']}, {_NOT_OWN}")
    for entry in dicts_in(config):  # tf_keras imports whatever module is named, for an initializer, too
        if "class_name" in entry and _is_foreign(entry):
            raise Unreadable(f"it asks for {entry['class_name']} of {entry['module']}, {_NOT_OWN}")


def require_built_in(config: Layer, library: Library) -> None:
    """Refuses layers and activations that the library does not have.

    Raises:
        Unreadable: names the layer and its class.
    """
    for layer in layers_in(config):
        kind, module = layer["class_name"], layer.get("module")
        if module in (None, "builtins") and library.layer_class(kind) is None:
            raise Unreadable(f"its layer {name_of(layer)} is of the class {kind}, {_NOT_OWN}")
        for key, function in layer["config"].items() if isinstance(layer["config"], dict) else ():
            if key.endswith("activation") and (name := _custom(function, library)):
                raise Unreadable(f"its layer {name_of(layer)} uses {name}, {_NOT_OWN}")


def _is_foreign(entry: dict[str, Any]) -> bool:
    """Whether it names a module that is not Keras'."""
    module = entry.get("module")
    return isinstance(module, str) and module.split(".")[0] not in _KERAS


def _custom(function: Any, library: Library) -> str:
    """The name of an activation the library does not have, else nothing."""
    if isinstance(function, dict) and function.get("class_name") == "function":
        function = function.get("config")
    return function if isinstance(function, str) and not library.knows_activation(function) else ""


def _holds_code(layer: Layer) -> bool:
    """Whether an activation or the like is a lambda: Keras 3 writes its byte code to HDF5 without saying so."""
    values = layer["config"].values() if isinstance(layer["config"], dict) else ()
    return any(
        isinstance(value, dict) and (value.get("class_name") == "__lambda__" or set(value) == {"value"})
        for value in values
    )
