"""The two libraries that open Keras files: Keras 3, and tf_keras for what Keras 2 wrote."""

import importlib
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

# what is no attribute of `layers`, and is built in all the same
_MODELS = {"Functional", "Model", "Sequential"}


class Library:
    """Keras 3 or tf_keras, imported when it is first asked something."""

    def __init__(self, package: str) -> None:
        self.package = package

    @cached_property
    def module(self) -> Any:
        """The package itself."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of TensorFlow's own imports
            return importlib.import_module(self.package)

    def __str__(self) -> str:
        return f"{self.package} {self.module.__version__}"

    def load(self, path: Path) -> Any:
        """The model in the file, never compiled, with safe mode on."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.module.models.load_model(path, compile=False, safe_mode=True)

    def layer_class(self, name: str) -> type | None:
        """The built-in layer of that name."""
        if name in _MODELS:
            return getattr(self.module, name, self.module.Model)  # type: ignore[no-any-return]
        if self.package == "tf_keras":  # it also knows the layers of TensorFlow's own functions, and Keras 1's names
            from tf_keras.src.layers.serialization import get_builtin_layer

            return get_builtin_layer(name)  # type: ignore[no-any-return]
        return getattr(self.module.layers, name, None)

    def operation_module(self, name: str) -> str:
        """The module of Keras 3's operation of that class, else nothing."""
        modules = (f"keras.src.ops.{part}" for part in ("numpy", "nn", "math", "core", "image"))
        return next((module for module in modules if hasattr(importlib.import_module(module), name)), "")

    def knows_activation(self, name: str) -> bool:
        """Whether it has a function of that name."""
        try:
            return callable(self.module.activations.get(name))
        except (ValueError, TypeError):
            return False


KERAS_3 = Library("keras")
KERAS_2 = Library("tf_keras")
