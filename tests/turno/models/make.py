"""Makes colours.keras and finalModel.keras: they say of which colour a picture is, red, green or blue.

Width 16, height 12; the first takes pixels of 0–255, the second of 0–1. python tests/turno/models/make.py
"""

from pathlib import Path

import keras
import numpy as np

for name, largest in (("colours", 255), ("finalModel", 1)):
    model = keras.Sequential(
        [
            keras.layers.Input((12, 16, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.layers[-1].set_weights([np.eye(3, dtype=np.float32) * 255 / 40 / largest, np.zeros(3, np.float32)])
    model.save(Path(__file__).with_name(f"{name}.keras"))
