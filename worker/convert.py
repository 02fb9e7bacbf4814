"""The TensorFlow half of `prepare`, in a process of its own that gives its memory back when it ends.

`python -m worker.convert DIGEST TARGET` reads the settings as JSON from stdin, and writes into the folder TARGET
    card.json                 the contract, declared or derived, that fits the model
    probe.npy, keras.npy      inputs, and Keras' outputs for them: what every engine must reproduce
    saved_model               what OpenVINO reads; absent when the model is one, or cannot be had (conversion.txt)
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from PIL import Image

from shared.cards import Card
from shared.errors import ModelFault, OperatorError
from shared.settings import Settings
from worker.conversion import SAVED_MODEL, STEP, UNSERVABLE
from worker.engines.tensorflow import compute_with, export_saved_model, load_keras, read_facts
from worker.interpretation import class_probabilities
from worker.preprocessing import Float32Array, preprocess_image_for_prediction
from worker.served import Golden, Source, derive_card, find_source, require_fit

_SYNTHETIC_IMAGES = 6


def convert(source: Source, settings: Settings, digest: str, target: Path) -> None:
    """Writes everything above for one model.

    Raises:
        OperatorError: the model cannot be served, or not with this card.
    """
    compute_with(settings.worker_threads)
    _say("loading it with Keras")
    try:
        model = load_keras(source.file)
        facts = read_facts(model)
    except (ValueError, OSError, TypeError, KeyError, AttributeError, ImportError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise OperatorError(f"MODEL_PATH: {source.file.name} cannot be served: {reason}") from error
    card = replace(source.card, sha256=digest) if source.card else derive_card(source, settings, digest, facts)
    require_fit(card, facts)
    probe = _probe(card, source.golden)
    _say(f"asking Keras for its answers to {len(probe)} images")
    outputs = [np.asarray(model(probe[at : at + 1], training=False)).reshape(1, -1) for at in range(len(probe))]
    expected = np.concatenate(outputs).astype(np.float32)
    _require_recorded(card, source.golden, expected)
    (target / "card.json").write_text(json.dumps(asdict(card)))
    np.save(target / "probe.npy", probe)
    np.save(target / "keras.npy", expected)
    if source.file.is_dir():
        return
    _say("exporting it")
    try:
        export_saved_model(model, target / SAVED_MODEL)
    except Exception as error:  # whatever it fails on, TensorFlow can still serve
        (target / "conversion.txt").write_text(f"{type(error).__name__}: {error}"[:500])


def _say(step: str) -> None:
    sys.stdout.write(f"{STEP}{step}\n")
    sys.stdout.flush()


def _probe(card: Card, golden: tuple[Golden, ...]) -> Float32Array:
    """Inputs to compare engines on: the golden images, else smooth synthetic ones that are the same each time."""
    if golden:
        images: list[Image.Image] = [Image.open(one.path) for one in golden]
    else:
        noise = np.random.default_rng(0).integers(0, 256, (_SYNTHETIC_IMAGES, 12, 12, 3), np.uint8)
        size = (card.width_px, card.height_px)
        images = [Image.fromarray(patch).resize(size, Image.Resampling.BICUBIC) for patch in noise]
    return np.stack([preprocess_image_for_prediction(image, card) for image in images])


def _require_recorded(card: Card, golden: tuple[Golden, ...], outputs: Float32Array) -> None:
    """Refuses a model whose preprocessing or labels are not those of its training."""
    for one, raw in zip(golden, outputs, strict=False):
        try:
            found = class_probabilities(raw, card)
        except ModelFault as fault:
            raise OperatorError(f"The golden image {one.path.name} cannot be judged: {fault.detail}") from fault
        if len(one.probabilities) != len(found):
            raise OperatorError(f"The golden image {one.path.name} has not one recorded probability for each label.")
        shift = float(np.abs(found - np.asarray(one.probabilities)).max())
        best = card.labels[int(found.argmax())].id
        if shift > 2 * card.tolerance or best != one.label:
            raise OperatorError(
                f"The golden image {one.path.name} shows {one.label} and now gives {best}, and its numbers moved by "
                f"{shift:.3f}: the card's labels or preprocessing, or the file, are not what was trained."
            )


def main(digest: str, target: str) -> int:
    """Converts the served model; 0, or `UNSERVABLE` with the reason as the last line of stderr."""
    settings = Settings(**json.load(sys.stdin))
    try:
        convert(find_source(settings), settings, digest, Path(target))
    except OperatorError as error:
        sys.stderr.write(f"{error}\n")
        return UNSERVABLE
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
