"""Train leaf-health from scratch in a given time: DATA_DIR=/path/to/leaves python models/leaf-health/train.py."""

import argparse
import csv
import json
import logging
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

from average import Average
from batches import Batches, ahead
from card import calibrated_card
from clock import Clock
from data import HERE, IMAGE_PX, LABELS, Floats, Ints, Photo, check_groups, data_dir, of_split, read_manifest
from judging import judging_copies
from network import build_network
from scores import macro_f1, nll

LOG = logging.getLogger("leaf-health")
THREADS = 2
# Judging costs a fifth of an epoch: rarely at first, always near the end.
JUDGED_EVERY = 4
JUDGED_ALWAYS_FROM = 0.6


@dataclass(frozen=True)
class Stage:
    """Pictures of px pixels and changes of the given strength, until a share of the time is used."""

    until: float
    px: int
    strength: float


@dataclass(frozen=True)
class Plan:
    """What one run does."""

    stages: tuple[Stage, ...]
    batch: int
    peak_rate: float
    decay: float
    seed: int

    def stage(self, share: float) -> Stage:
        """Give the stage at a share of the time."""
        return next((stage for stage in self.stages if share < stage.until), self.stages[-1])

    def rate(self, share: float) -> float:
        """Give the learning rate: a short rise, then half a cosine down to nearly zero."""
        fall = 0.5 * (1.0 + math.cos(math.pi * share))
        return self.peak_rate * max(0.005, min((share + 1e-4) / WARM_UP, fall))


WARM_UP = 0.03
STAGES = (Stage(0.45, 112, 0.85), Stage(1.0, 160, 0.6))


@dataclass
class Progress:
    """Where a run stands, kept beside its checkpoint."""

    epoch: int = 0
    best_score: float = -1.0
    best_epoch: int = -1
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


def new_network(plan: Plan) -> keras.Model:
    """Build and compile an untrained network for pictures of any side."""
    network = build_network(None, None, len(LABELS))
    optimizer = keras.optimizers.AdamW(plan.peak_rate, weight_decay=plan.decay, clipnorm=5.0)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    # The plain convolution kernels beat just-in-time compiled ones by a quarter on CPUs.
    network.compile(optimizer, loss="categorical_crossentropy", jit_compile=False)
    optimizer.build(network.trainable_variables)
    return network


class Run:
    """One training run with its state on disk."""

    def __init__(self, plan: Plan, clock: Clock, folder: Path, photos: list[Photo], state: Path) -> None:
        """Load what was reached before, or start from nothing."""
        state.mkdir(parents=True, exist_ok=True)
        self.plan, self.clock, self.folder, self.state = plan, clock, folder, state
        self.training = of_split(photos, "train")
        self.network = new_network(plan)
        self.average = Average(self.network)
        self.progress = Progress()
        self._resume()

    def _variables(self) -> list[keras.Variable]:
        """List all that a continuation needs."""
        return [*self.network.variables, *self.network.optimizer.variables, *self.average.variables]

    def _resume(self) -> None:
        """Load the last checkpoint of the same plan."""
        pointer = self.state / "progress.json"
        if not pointer.is_file():
            return
        kept = json.loads(pointer.read_text())
        if kept["plan"] != json.loads(json.dumps(asdict(self.plan))):
            raise SystemExit(f"{self.state} holds a run of another plan: remove it, or give --state.")
        self.progress = Progress(**kept["progress"])
        with np.load(self.state / f"epoch-{self.progress.epoch:03d}.npz") as saved:
            for variable, name in zip(self._variables(), saved.files, strict=True):
                variable.assign(saved[name])
        self.clock.cpu_before, self.clock.wall_before = self.progress.cpu_seconds, self.progress.wall_seconds
        LOG.info("Continuing after epoch %d.", self.progress.epoch)

    def save(self) -> None:
        """Write weights and optimizer state, then point the progress file at them."""
        self.progress.cpu_seconds, self.progress.wall_seconds = self.clock.used()
        target = self.state / f"epoch-{self.progress.epoch:03d}.npz"
        np.savez(target, *[np.asarray(value) for value in self._variables()])
        pointer = self.state / "progress.json.new"
        pointer.write_text(json.dumps({"plan": asdict(self.plan), "progress": asdict(self.progress)}))
        pointer.replace(self.state / "progress.json")
        for old in self.state.glob("epoch-*.npz"):
            if old != target:
                old.unlink()

    def epoch(self, batches: Batches) -> float:
        """Train one epoch, or what the time allows of it, and return its mean loss."""
        losses: list[float] = []
        for images, labels, weights in ahead(batches.epoch(self.progress.epoch)):
            share = self.clock.share()
            if share >= 1:
                break
            self.network.optimizer.learning_rate.assign(self.plan.rate(share))
            losses.append(float(self.network.train_on_batch(images, labels, sample_weight=weights)))
            self.average.update()
            if len(losses) % 60 == 0:
                numbers = (self.progress.epoch + 1, len(losses), np.mean(losses), 100 * share)
                LOG.info("epoch %d step %d loss %.3f, %.1f %% of the time", *numbers)
        self.progress.epoch += 1
        return float(np.mean(losses)) if losses else math.nan

    def judge(self, copies: list[tuple[Floats, Ints]]) -> dict[str, float]:
        """Judge the averaged weights on plain and harder validation copies, and keep them if best."""
        with self.average.applied():
            (plain, truth), (hard, hard_truth) = [
                (np.asarray(self.network.predict(seen, batch_size=64, verbose=0), np.float64), labels)
                for seen, labels in copies
            ]
            f1, hard_f1 = macro_f1(truth, plain.argmax(axis=1)), macro_f1(hard_truth, hard.argmax(axis=1))
            if (f1 + hard_f1) / 2 > self.progress.best_score:
                self.progress.best_score, self.progress.best_epoch = (f1 + hard_f1) / 2, self.progress.epoch
                self.network.save_weights(self.state / "best.weights.h5")
        return {
            "validation_macro_f1": round(f1, 4),
            "validation_nll": round(nll(plain, truth), 4),
            "harder_macro_f1": round(hard_f1, 4),
            "harder_nll": round(nll(hard, hard_truth), 4),
        }

    def note(self, row: dict[str, float | int | str]) -> None:
        """Add one epoch to the history table."""
        path, rows = self.state / "history.csv", []
        if path.is_file():
            with path.open(newline="") as stream:
                rows = [old for old in csv.DictReader(stream) if int(old["epoch"]) < self.progress.epoch]
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(row))
            writer.writeheader()
            writer.writerows([*rows, row])

    def train(self, validation: list[Photo]) -> Path:
        """Train until the time is used and return the file with the best weights."""
        copies = judging_copies(self.folder, validation)
        stage: Stage | None = None
        while (share := self.clock.share()) < 1:
            if self.plan.stage(share) != stage:
                stage = self.plan.stage(share)
                LOG.info("Loading %d photos for pictures of %d px.", len(self.training), stage.px)
                batches = Batches(self.folder, self.training, stage.px, self.plan.batch, self.plan.seed, stage.strength)
            loss = self.epoch(batches)
            share = self.clock.share()
            due = share > JUDGED_ALWAYS_FROM or self.progress.epoch % JUDGED_EVERY == 0
            empty = dict.fromkeys(("validation_macro_f1", "validation_nll", "harder_macro_f1", "harder_nll"), "")
            judged = self.judge(copies) if due else empty
            cpu, wall = (round(seconds / 60, 2) for seconds in self.clock.used())
            LOG.info("epoch %d (%.1f CPU min, %.1f min): loss %.3f, %s", self.progress.epoch, cpu, wall, loss, judged)
            row = {"epoch": self.progress.epoch, "side_px": stage.px, "train_loss": round(loss, 4)}
            self.note(row | judged | {"cpu_minutes": cpu, "wall_minutes": wall})
            self.save()
        LOG.info("Best epoch %d: %.4f.", self.progress.best_epoch, self.progress.best_score)
        return self.state / "best.weights.h5"


def export(best: Path, folder: Path, photos: list[Photo], state: Path, target: Path) -> None:
    """Write model.keras without optimizer state, its card and its history."""
    network = build_network(IMAGE_PX, IMAGE_PX, len(LABELS))
    network.load_weights(best)
    draft = state / "model.keras"
    network.save(draft)
    card = calibrated_card(network, draft, judging_copies(folder, of_split(photos, "validation")))
    # Model and card change together, so that no service reads one without the other.
    (target / "report").mkdir(parents=True, exist_ok=True)
    draft.replace(target / "model.keras")
    (target / "card.toml").write_text(card, encoding="utf-8")
    (target / "report" / "history.csv").write_bytes((state / "history.csv").read_bytes())


def main() -> None:
    """Read the options, train or continue, and export."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", help="folder with manifest.csv; default: DATA_DIR")
    options.add_argument("--cpu-minutes", type=float, default=82.0, help="processor minutes, all threads together")
    options.add_argument("--wall-minutes", type=float, default=600.0, help="minutes on the wall, if they end first")
    options.add_argument("--seed", type=int, default=20)
    options.add_argument("--state", type=Path, default=HERE / ".training")
    options.add_argument("--target", type=Path, default=HERE, help="folder for model.keras, card.toml and report/")
    given = options.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    clock = Clock(given.cpu_minutes, given.wall_minutes)
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    plan = Plan(STAGES, batch=16, peak_rate=1.5e-3, decay=0.02, seed=given.seed)
    folder = data_dir(given.data)
    photos = read_manifest(folder)
    check_groups(photos)
    keras.utils.set_random_seed(plan.seed)
    best = Run(plan, clock, folder, photos, given.state).train(of_split(photos, "validation"))
    export(best, folder, photos, given.state, given.target)


if __name__ == "__main__":
    main()
