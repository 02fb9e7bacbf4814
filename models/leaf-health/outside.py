"""Show the model photos from elsewhere: outside.py FOLDER, with one subfolder for each class.

For measuring only: nothing is trained or chosen on such photos.
"""

import argparse
import json
import logging
from pathlib import Path

import numpy as np

from data import HERE, LABELS, NOT_LEAF
from scores import calibrate
from service import Classifier

LOG = logging.getLogger("leaf-health")


def measure(classifier: Classifier, folder: Path) -> dict[str, object]:
    """Count the verdicts on every photo of the folder, and list them."""
    files = [(label, path) for label in LABELS for path in sorted((folder / label).glob("*"))]
    if not files:
        raise SystemExit(f"There are no photos in subfolders of {folder} named {', '.join(LABELS)}.")
    guess = classifier.predict(np.stack([classifier.read(path) for _, path in files]))
    kinds, shares = classifier.verdicts(guess), calibrate(guess, classifier.card.temperature)
    truth = np.array([LABELS.index(label) for label, _ in files])
    leaf, right = truth != NOT_LEAF, guess.argmax(axis=1) == truth
    for (label, path), kind, row in zip(files, kinds, shares, strict=True):
        LOG.info("%-15s %-40s %-15s %-15s %.2f", label, path.name, kind, LABELS[row.argmax()], row.max())
    return {
        "leaves": int(leaf.sum()),
        "leaves_accepted": int((kinds[leaf] != "not_recognised").sum()),
        "leaves_right_class": int(right[leaf].sum()),
        "leaves_diagnosed": int((kinds[leaf] == "diagnosed").sum()),
        "leaves_diagnosed_wrongly": int((leaf & (kinds == "diagnosed") & ~right).sum()),
        "not_leaf": int((~leaf).sum()),
        "not_leaf_rejected": int((kinds[~leaf] == "not_recognised").sum()),
        "not_leaf_diagnosed": int((kinds[~leaf] == "diagnosed").sum()),
    }


def main() -> None:
    """Print the counts, and note them where asked."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--model", type=Path, default=HERE, help="folder with card.toml")
    options.add_argument("--report", type=Path, help="file to note the counts in")
    given = options.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    counts = measure(Classifier(given.model), given.folder)
    LOG.info("%s", json.dumps(counts))
    if given.report:
        given.report.write_text(json.dumps(counts, indent=1) + "\n")


if __name__ == "__main__":
    main()
