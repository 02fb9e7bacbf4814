"""What a model is called in line, rows and messages: the name of its folder or file."""

import re
from pathlib import PurePath

from shared.settings import Settings

MODEL_SUFFIXES = (".keras", ".h5", ".hdf5", ".tflite", ".joblib", ".pkl", ".pickle")  # of models that are one file


def served_model_name(settings: Settings) -> str:
    """The served model's name: `models/leaf-health/` and `models/leaf-health.keras` are both `leaf-health`.

    Read off the path alone, so that API and worker agree without opening the model.
    """
    path = PurePath(settings.model_path)
    stem = path.stem if path.suffix in MODEL_SUFFIXES else path.name
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem)[:100] or "model"
