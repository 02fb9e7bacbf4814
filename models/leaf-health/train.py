"""Train leaf-health from scratch: DATA_DIR=/path/to/leaves python models/leaf-health/train.py."""

import argparse
import csv
import json
import logging
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

from batches import Batches, ahead
from card import calibrated_card
from data import (
    HERE,
    IMAGE_PX,
    LABELS,
    Photo,
    check_groups,
    data_dir,
    labels_of,
    load_photos,
    of_split,
    read_manifest,
)
from network import build_network
from scores import macro_f1, nll

LOG = logging.getLogger("leaf-health")


@dataclass(frozen=True)
class Stage:
    """Epochs with pictures of px pixels and changes of the given strength, 1 being the hardest."""

    px: int
    epochs: int
    strength: float


@dataclass(frozen=True)
class Plan:
    """What one run does; the rate falls in the last epochs."""

    stages: tuple[Stage, ...]
    falling_epochs: int
    batch: int
    peak_rate: float
    decay: float
    seed: int

    @property
    def epochs(self) -> int:
        """Count the epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def stage(self, epoch: int) -> Stage:
        """Give the stage of an epoch counted from 0."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        raise ValueError("epoch past the end of the plan")


WARM_UP_EPOCHS = 2
STAGES = (Stage(128, 18, 1.0), Stage(160, 13, 0.6))


@dataclass
class Progress:
    """Where a run stands, kept beside its checkpoint."""

    epoch: int = 0
    best_f1: float = -1.0
    best_nll: float = math.inf
    best_epoch: int = -1


class Rate(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear warm-up, a plateau, then half a cosine down to nearly zero, by step."""

    def __init__(self, peak: float, warm_up: int, falling: int, total: int) -> None:
        """Set the peak rate and the number of warm-up, falling and total steps."""
        self.peak, self.warm_up, self.falling, self.total = peak, warm_up, falling, total

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """Give the rate of a step."""
        done = keras.ops.cast(step, "float32")
        rise = (done + 1.0) / self.warm_up
        part = keras.ops.clip(1.0 - (self.total - done) / self.falling, 0.0, 1.0)
        fall = 0.5 * (1.0 + keras.ops.cos(math.pi * part))
        return self.peak * keras.ops.minimum(rise, keras.ops.maximum(fall, 0.01))


def new_network(plan: Plan, steps: int) -> keras.Model:
    """Build and compile an untrained network for pictures of any side."""
    network = build_network(None, None, len(LABELS))
    warm_up, falling = WARM_UP_EPOCHS * steps, plan.falling_epochs * steps
    rate = Rate(plan.peak_rate, warm_up, falling, plan.epochs * steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=plan.decay, clipnorm=5.0)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    # The plain convolution kernels beat just-in-time compiled ones by a quarter on CPUs.
    network.compile(optimizer, loss="categorical_crossentropy", jit_compile=False)
    optimizer.build(network.trainable_variables)
    return network


def save_checkpoint(folder: Path, network: keras.Model, plan: Plan, progress: Progress) -> None:
    """Write weights and optimizer state, then point the progress file at them."""
    state = [np.asarray(value) for value in [*network.variables, *network.optimizer.variables]]
    target = folder / f"epoch-{progress.epoch:03d}.npz"
    np.savez(target, *state)
    pointer = folder / "progress.json.new"
    pointer.write_text(json.dumps({"plan": asdict(plan), "progress": asdict(progress)}))
    pointer.replace(folder / "progress.json")
    for old in folder.glob("epoch-*.npz"):
        if old != target:
            old.unlink()


def resume(folder: Path, network: keras.Model, plan: Plan) -> Progress:
    """Load the last checkpoint of the same plan, or start from nothing."""
    pointer = folder / "progress.json"
    if not pointer.is_file():
        return Progress()
    kept = json.loads(pointer.read_text())
    if kept["plan"] != json.loads(json.dumps(asdict(plan))):
        raise SystemExit(f"{folder} holds a run of another plan: remove it, or give --state.")
    progress = Progress(**kept["progress"])
    with np.load(folder / f"epoch-{progress.epoch:03d}.npz") as state:
        variables = [*network.variables, *network.optimizer.variables]
        for variable, name in zip(variables, state.files, strict=True):
            variable.assign(state[name])
    LOG.info("Continuing after epoch %d of %d.", progress.epoch, plan.epochs)
    return progress


def train_epoch(network: keras.Model, batches: Batches, epoch: int, plan: Plan) -> float:
    """Train one epoch and return its mean loss."""
    started, total = time.monotonic(), 0.0
    for step, (images, labels, weights) in enumerate(ahead(batches.epoch(epoch)), start=1):
        total += float(network.train_on_batch(images, labels, sample_weight=weights))
        if step % 60 == 0:
            pace = (time.monotonic() - started) / step
            LOG.info(
                "epoch %d/%d step %d/%d loss %.3f, %.2f s per step",
                *(epoch + 1, plan.epochs, step, batches.steps, total / step, pace),
            )
    return total / batches.steps


def note_history(path: Path, row: dict[str, float | int]) -> None:
    """Add one epoch to the history table."""
    rows: list[dict[str, str]] = []
    if path.is_file():
        with path.open(newline="") as stream:
            rows = [old for old in csv.DictReader(stream) if int(old["epoch"]) < row["epoch"]]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(row))
        writer.writeheader()
        writer.writerows([*rows, row])


def train(plan: Plan, folder: Path, photos: list[Photo], state: Path) -> Path:
    """Run the plan to its end and return the file with the best weights."""
    state.mkdir(parents=True, exist_ok=True)
    training, validation = of_split(photos, "train"), of_split(photos, "validation")
    truth = labels_of(validation)
    network = new_network(plan, len(training) // plan.batch)
    progress = resume(state, network, plan)
    best = state / "best.weights.h5"
    # Pictures are judged as the service shows them, at any stage: whole, at the model's size.
    seen = load_photos(folder, validation, IMAGE_PX).astype(np.float32) / 255
    stage: Stage | None = None
    while progress.epoch < plan.epochs:
        started = time.monotonic()
        if plan.stage(progress.epoch) != stage:
            stage = plan.stage(progress.epoch)
            LOG.info("Loading %d training photos for pictures of %d px.", len(training), stage.px)
            batches = Batches(folder, training, stage.px, plan.batch, plan.seed, stage.strength)
        loss = train_epoch(network, batches, progress.epoch, plan)
        guess = np.asarray(network.predict(seen, batch_size=64, verbose=0), np.float64)
        f1, loglik = macro_f1(truth, guess.argmax(axis=1)), nll(guess, truth)
        progress.epoch += 1
        if (f1, -loglik) > (progress.best_f1, -progress.best_nll):
            progress.best_f1, progress.best_nll = f1, loglik
            progress.best_epoch = progress.epoch
            network.save_weights(best)
        seconds = round(time.monotonic() - started, 1)
        LOG.info("epoch %d val macro-F1 %.4f nll %.4f (%s s)", progress.epoch, f1, loglik, seconds)
        row = {"epoch": progress.epoch, "side_px": stage.px, "train_loss": round(loss, 4)}
        row |= {"validation_nll": round(loglik, 4), "validation_macro_f1": round(f1, 4)}
        note_history(state / "history.csv", row | {"seconds": seconds})
        save_checkpoint(state, network, plan, progress)
    LOG.info("Best epoch %d: validation macro-F1 %.4f.", progress.best_epoch, progress.best_f1)
    return best


def export(best: Path, folder: Path, photos: list[Photo], state: Path) -> None:
    """Write model.keras without optimizer state, its card and its history."""
    network = build_network(IMAGE_PX, IMAGE_PX, len(LABELS))
    network.load_weights(best)
    draft = state / "model.keras"
    network.save(draft)
    card = calibrated_card(network, draft, folder, of_split(photos, "validation"))
    # Model and card change together, so that no service reads one without the other.
    draft.replace(HERE / "model.keras")
    (HERE / "card.toml").write_text(card, encoding="utf-8")
    (HERE / "report").mkdir(exist_ok=True)
    (HERE / "report" / "history.csv").write_bytes((state / "history.csv").read_bytes())


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Read stages such as 128:18:1.0,160:13:0.6, each side in pixels, epochs and strength."""
    parts = [part.split(":") for part in text.split(",")]
    return tuple(Stage(int(px), int(epochs), float(strength)) for px, epochs, strength in parts)


def main() -> None:
    """Read the options, train or continue, and export."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", help="folder with manifest.csv; default: DATA_DIR")
    options.add_argument("--stages", type=parse_stages, default=STAGES)
    options.add_argument("--falling", type=int, default=21, help="epochs in which the rate falls")
    options.add_argument("--seed", type=int, default=20)
    options.add_argument("--state", type=Path, default=HERE / ".training")
    given = options.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    plan = Plan(given.stages, given.falling, batch=16, peak_rate=1.5e-3, decay=0.02, seed=given.seed)
    folder = data_dir(given.data)
    photos = read_manifest(folder)
    check_groups(photos)
    keras.utils.set_random_seed(plan.seed)
    best = train(plan, folder, photos, given.state)
    export(best, folder, photos, given.state)


if __name__ == "__main__":
    main()
