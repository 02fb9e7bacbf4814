"""How tutorials serve a Keras model: FastAPI, and `model.predict` in the request. Nothing waits, nothing is kept."""

import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from fastapi import FastAPI, UploadFile
from PIL import Image

models: dict[str, Any] = {}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    from tensorflow import keras

    models["served"] = keras.models.load_model(os.environ["PEER_MODEL"])
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
async def predict(file: UploadFile) -> dict[str, Any]:
    image = Image.open(io.BytesIO(await file.read())).convert("RGB").resize((180, 180))
    inputs = np.expand_dims(np.asarray(image, np.float32) / 255.0, 0)
    (probabilities,) = models["served"].predict(inputs, verbose=0)
    return {"predicted_class": int(np.argmax(probabilities)), "confidence": float(np.max(probabilities))}
