"""Photos of many kinds, and the answers that a model's author recorded for them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from shared.cards import Card, check_card
from shared.imagefile import open_image
from tests.worker.check_model import Proportional, take_photos, trained_card
from worker.check import Verdict, run_check
from worker.preprocessing import preprocess_image_for_prediction
from worker.registry import ServedModel

TRAINED = trained_card(interpolation="bicubic", antialias=False)


def varied_photos(folder: Path) -> Path:
    """Twenty of each class; some are JPEGs that lie on their side, some higher than wide."""
    take_photos(folder, 20)
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        with Image.open(file) as image:
            exif = image.getexif()
            exif[0x0112] = 6
            if number % 3 == 0:
                image.transpose(Image.Transpose.ROTATE_90).save(file.with_suffix(".jpg"), quality=95, exif=exif)
            elif number % 3 == 1:
                image.resize((64, 96)).save(file)  # 64 to 12: some pixels are equally near
        if number % 3 == 0:
            file.unlink()
    return folder


def record(photos: Path, to: Path, fed: Card, every: int = 1, prefix: str = "") -> Path:
    """What the model answers when it is fed so."""
    answers = {}
    for file in sorted(photos.rglob("*.[pj]*g"))[::every]:
        with open_image(file) as image:
            seen = preprocess_image_for_prediction(image, fed)
        answers[f"{prefix}{file.parent.name}/{file.name}"] = Proportional(TRAINED).predict(seen[None])[0].tolist()
    to.write_text(json.dumps(answers))
    return to


def check(photos: Path, recorded: Path, **declared: Any) -> Verdict:
    """What comes of a card that may say something else than what the model was trained with."""
    model = ServedModel("leaf", check_card(replace(TRAINED, **declared)), Proportional(TRAINED))
    return run_check(model, photos, picture=None, report=None, show=lambda *_: None, recorded=recorded)
