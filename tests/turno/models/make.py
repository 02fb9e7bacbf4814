"""Makes colours.keras, finalModel.keras and anySize.keras: they say of which colour a picture is, red, green or blue.

Width 16, height 12, or any; finalModel takes pixels of 0–1, the others of 0–255. python tests/turno/models/make.py
"""

from pathlib import Path

import keras
import numpy as np

for name, size, largest in (
    ("colours", (12, 16), 255), ("finalModel", (12, 16), 1), ("anySize", (None, None), 255),
):  # fmt: skip
    model = keras.Sequential(
        [
            keras.layers.Input((*size, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.layers[-1].set_weights([np.eye(3, dtype=np.float32) * 255 / 40 / largest, np.zeros(3, np.float32)])
    model.save(Path(__file__).with_name(f"{name}.keras"))
