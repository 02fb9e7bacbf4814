"""Measure the model: DATA_DIR=/path/to/leaves python models/leaf-health/evaluate.py."""

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data import HERE, LABELS, Ints, Photo, data_dir, labels_of, load_photo, of_split, read_manifest
from pictures import draw_confusion, draw_failures, draw_history
from scores import Probabilities, accuracy, calibrate, confusion, ece, macro_f1, nll, per_class
from service import Classifier
from visibility import compare_views

LOG = logging.getLogger("leaf-health")
SAME_PHOTOS = 50


def check_same_input(classifier: Classifier, folder: Path, photos: list[Photo]) -> float:
    """Find the largest difference between the service's input and the training's, in 0..1."""
    step = max(1, len(photos) // SAME_PHOTOS)
    gaps = [
        np.abs(
            classifier.read(folder / photo.file)
            - load_photo(folder / photo.file, classifier.card.width_px).astype(np.float32) / 255
        ).max()
        for photo in photos[::step]
    ]
    return float(max(gaps))


def rounded(value: Any) -> Any:
    """Round every number in nested figures to four places."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return value


def calibration(guess: Probabilities, calibrated: Probabilities, truth: Ints) -> dict[str, Any]:
    """Compare calibration before and after the temperature."""
    return {
        "before": {"ece": ece(guess, truth), "nll": nll(guess, truth)},
        "after": {"ece": ece(calibrated, truth), "nll": nll(calibrated, truth)},
    }


def verdicts(calibrated: Probabilities, truth: Ints, diagnosed_at: float) -> dict[str, float]:
    """Measure how many photos get a firm verdict, and how often it is right."""
    sure = calibrated.max(axis=1) >= diagnosed_at
    right = calibrated.argmax(axis=1) == truth
    return {
        "diagnosed_share": float(sure.mean()),
        "right_when_diagnosed": float(right[sure].mean()) if sure.any() else 0.0,
        "right_when_not_diagnosed": float(right[~sure].mean()) if (~sure).any() else 0.0,
    }


def by_group(photos: list[Photo], predicted: Ints, key: str) -> dict[str, dict[str, float]]:
    """Measure accuracy over the photos that share a crop or a cause."""
    truth = labels_of(photos)
    groups = np.array([getattr(photo, key) for photo in photos])
    return {
        str(name): {
            "accuracy": accuracy(truth[groups == name], predicted[groups == name]),
            "photos": int((groups == name).sum()),
        }
        for name in np.unique(groups)
    }


def measure(classifier: Classifier, folder: Path, photos: list[Photo]) -> tuple[dict[str, Any], Probabilities]:
    """Compute all figures of one split, and its raw probabilities (N,classes)."""
    inputs = classifier.read_all(folder, photos)
    guess, truth = classifier.predict(inputs), labels_of(photos)
    predicted = guess.argmax(axis=1)
    calibrated = calibrate(guess, classifier.card.temperature)
    figures = {
        "photos": len(photos),
        "macro_f1": macro_f1(truth, predicted),
        "accuracy": accuracy(truth, predicted),
        "per_class": per_class(truth, predicted),
        "confusion_rows_true": {
            name: dict(zip(LABELS, map(int, row), strict=True))
            for name, row in zip(LABELS, confusion(truth, predicted), strict=True)
        },
        "calibration": calibration(guess, calibrated, truth),
        "verdicts": verdicts(calibrated, truth, classifier.card.diagnosed_at),
        "per_crop": by_group(photos, predicted, "crop"),
        "per_cause": by_group(photos, predicted, "cause"),
        "balanced_accuracy_by_visible_part": compare_views(inputs, photos, classifier.predict),
    }
    return rounded(figures), guess


def milliseconds_per_image(classifier: Classifier) -> float:
    """Time the compiled network on single pictures on this machine, median of 100 calls."""
    picture = tf.fill((1, classifier.card.height_px, classifier.card.width_px, 3), 0.5)
    network = tf.function(lambda pixels: classifier.network(pixels, training=False))
    times: list[float] = []
    for _ in range(120):
        started = time.perf_counter()
        network(picture).numpy()
        times.append((time.perf_counter() - started) * 1000)
    return round(float(np.median(times[20:])), 2)


def main() -> None:
    """Measure validation and test, and write the report."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", help="folder with manifest.csv; default: DATA_DIR")
    options.add_argument("--splits", default="validation,test")
    options.add_argument("--report", type=Path, default=HERE / "report")
    given = options.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    folder, classifier = data_dir(given.data), Classifier()
    photos = read_manifest(folder)
    given.report.mkdir(exist_ok=True)
    metrics: dict[str, Any] = {
        "model_sha256": classifier.card.sha256,
        "parameters": int(classifier.network.count_params()),
        "temperature": classifier.card.temperature,
        "diagnosed_at": classifier.card.diagnosed_at,
    }
    for split in given.splits.split(","):
        chosen = of_split(photos, split)
        gap = check_same_input(classifier, folder, chosen)
        LOG.info("%s: service and training inputs differ by at most %g.", split, gap)
        metrics[split], guess = measure(classifier, folder, chosen)
        LOG.info("%s: macro-F1 %.4f on %d photos.", split, metrics[split]["macro_f1"], len(chosen))
    truth = labels_of(chosen)
    draw_confusion(truth, guess.argmax(axis=1), given.report / "confusion.png")
    calibrated = calibrate(guess, classifier.card.temperature)
    draw_failures(folder, chosen, calibrated, truth, given.report / "failures.png")
    draw_history(HERE / "report" / "history.csv", given.report / "history.png")
    metrics["tensorflow_ms_per_image"] = milliseconds_per_image(classifier)
    (given.report / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    LOG.info("The report is in %s.", given.report)


if __name__ == "__main__":
    main()
