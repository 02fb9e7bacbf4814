"""Measure the model: DATA_DIR=/path/to/leaves python models/leaf-health/evaluate.py."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from data import HERE, LABELS, NOT_LEAF, Ints, Photo, Texts, data_dir, labels_of, load_photo, of_split, read_manifest
from judging import judging_copies
from pictures import draw_confusion, draw_failures, draw_history, draw_reliability
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


def verdicts(kinds: Texts, guess: Probabilities, truth: Ints) -> dict[str, float]:
    """Measure the verdicts: leaves accepted, other things rejected, and how often a firm diagnosis is right."""
    sure, leaf = kinds == "diagnosed", truth != NOT_LEAF
    right = guess.argmax(axis=1) == truth
    return {
        "leaves_accepted": float((kinds[leaf] != "not_recognised").mean()),
        "not_leaf_rejected": float((kinds[~leaf] == "not_recognised").mean()),
        "not_leaf_diagnosed": float((kinds[~leaf] == "diagnosed").mean()),
        "leaves_diagnosed": float((kinds[leaf] == "diagnosed").mean()),
        "leaves_right_when_diagnosed": float(right[leaf & sure].mean()),
        "leaves_wrongly_diagnosed": float((leaf & sure & ~right).sum() / leaf.sum()),
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


def measure_harder(classifier: Classifier, folder: Path, photos: list[Photo]) -> dict[str, Any]:
    """Compute the main figures on harder copies, which stand for other fields."""
    inputs, truth = judging_copies(folder, photos)[1]
    guess = classifier.predict(inputs)
    calibrated = calibrate(guess, classifier.card.temperature)
    return {
        "pictures": len(truth),
        "macro_f1": macro_f1(truth, guess.argmax(axis=1)),
        "ece": ece(calibrated, truth),
        "nll": nll(calibrated, truth),
        "verdicts": verdicts(classifier.verdicts(guess), guess, truth),
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
        "verdicts": verdicts(classifier.verdicts(guess), guess, truth),
        "per_crop": by_group(photos, predicted, "crop"),
        "per_cause": by_group(photos, predicted, "cause"),
        "per_crop_and_class": by_group(photos, predicted, "crop_and_class"),
        "balanced_accuracy_by_visible_part": compare_views(inputs, photos, classifier.predict),
        "harder": measure_harder(classifier, folder, photos),
    }
    return rounded(figures), guess


def main() -> None:
    """Measure validation and test, and write the report."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", help="folder with manifest.csv; default: DATA_DIR")
    options.add_argument("--splits", default="validation,test")
    options.add_argument("--model", type=Path, default=HERE, help="folder with card.toml")
    options.add_argument("--report", type=Path, default=HERE / "report")
    given = options.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    folder, classifier = data_dir(given.data), Classifier(given.model)
    photos = read_manifest(folder)
    given.report.mkdir(exist_ok=True)
    metrics: dict[str, Any] = {
        "model_sha256": classifier.card.sha256,
        "parameters": int(classifier.network.count_params()),
        "temperature": classifier.card.temperature,
        "diagnosed_at": classifier.card.diagnosed_at,
        "not_recognised_at": classifier.card.not_recognised_at,
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
    draw_reliability({"raw": guess, "calibrated": calibrated}, truth, given.report / "reliability.png")
    draw_failures(folder, chosen, calibrated, truth, given.report / "failures.png")
    draw_history(given.model / "report" / "history.csv", given.report / "history.png")
    (given.report / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    LOG.info("The report is in %s.", given.report)


if __name__ == "__main__":
    main()
