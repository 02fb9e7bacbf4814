"""How tutorials take `model.predict` out of the request: one Celery task for each image, which travels in the message.

The message broker is Redis, and so is the result backend. A task is lost with its worker, and so are all results when
Redis starts anew.
"""

import base64
import io
import os
from typing import Any

import numpy as np
from celery import Celery, Task
from fastapi import FastAPI, UploadFile
from PIL import Image

celery = Celery("typical", broker=os.environ["PEER_REDIS"], backend=os.environ["PEER_REDIS"])
app = FastAPI()


class Predict(Task):  # type: ignore[type-arg]
    """Loads the model with the first task: Celery kills a child that needs four seconds to start."""

    model: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.model is None:
            from tensorflow import keras

            self.model = keras.models.load_model(os.environ["PEER_MODEL"])
        return self.run(*args, **kwargs)


@celery.task(base=Predict, bind=True, name="predict")
def predict(self: Predict, image_base64: str) -> dict[str, Any]:
    image = Image.open(io.BytesIO(base64.b64decode(image_base64))).convert("RGB").resize((180, 180))
    inputs = np.expand_dims(np.asarray(image, np.float32) / 255.0, 0)
    (probabilities,) = self.model.predict(inputs, verbose=0)
    return {"predicted_class": int(np.argmax(probabilities)), "confidence": float(np.max(probabilities))}


@app.post("/predict", status_code=202)
async def submit(file: UploadFile) -> dict[str, str]:
    return {"id": predict.delay(base64.b64encode(await file.read()).decode()).id}
