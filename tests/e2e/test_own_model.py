"""A Keras model from elsewhere, dropped in by MODEL_PATH, answers exactly as its author trained it."""

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import OperatorError
from shared.settings import Settings
from tests.conftest import LEAF_HEALTH, shared_stack
from tests.photos import jpeg
from tests.stack import ROOT, Stack
from tests.waiting import wait_for
from worker.prepare import prepare_served_model

# the logit of each class is ten times the mean of one colour, in 0 to 1: wrong scaling, colour order or label
# order gives another class, or other numbers
_AUTHOR = """
import json, sys, numpy as np
from worker.engines.tensorflow import compute_with
import keras
compute_with(1)
layers = keras.layers
for path, shape, order in json.load(sys.stdin):
    pooled = layers.GlobalAveragePooling2D()(image := keras.Input(shape))
    head = layers.Dense(3, activation="softmax")
    model = keras.Model(image, head(pooled))
    head.set_weights([10 * np.eye(3)[:, order], np.zeros(3)])
    model.save(path) if path.endswith((".keras", ".h5")) else model.export(path)
"""
# the worker's way to the engine, in a process of its own
_SERVED = """
import json, sys, numpy as np
from shared.settings import Settings
from worker.registry import load_served_model
engine = load_served_model(Settings(_env_file=None, **json.load(sys.stdin))).engine
images = np.random.default_rng(1).random((16, 72, 50, 3), np.float32)
alone = np.concatenate([engine.predict(one[None]) for one in images])
shift = max(float(abs(engine.predict(images[:count]) - alone[:count]).max()) for count in (1, 2, 3, 4, 7, 16))
keras = [name for name in sys.modules if name.partition(".")[0] in ("keras", "tf_keras")]
print(json.dumps({"engine": engine.name, "shift": shift, "keras": keras, "sum": float(alone.sum())}))
"""
GREEN = (0, 255, 0)
SQUARE, UPRIGHT = (180, 180, 3), (72, 50, 3)


@pytest.fixture(scope="module")
def authored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that were not trained and whose answers are known: class i answers to colour `order[i]`."""
    folder = tmp_path_factory.mktemp("authored")
    saved = {
        "finalModel.keras": (SQUARE, (0, 1, 2)),
        "replaced.keras": (SQUARE, (1, 2, 0)),
        "upright/finalModel.h5": (UPRIGHT, (0, 1, 2)),
        "upright/finalModel": (UPRIGHT, (0, 1, 2)),
    }
    (folder / "upright").mkdir()
    told = json.dumps([(str(folder / name), *what) for name, what in saved.items()])
    command = [sys.executable, "-c", _AUTHOR]
    subprocess.run(command, cwd=ROOT, input=told, text=True, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """All but the worker: of the model, the others know the name alone."""
    settings = {"LABELS": "healthy, powdery_mildew, rust", "MODEL_SCALE": "1/255"}
    with shared_stack(request, MODEL_PATH="finalModel", **settings) as stack:
        yield stack.start("redis", "api", "courier")


def serve(stack: Stack, path: Path) -> None:
    """Prepares the model at this path, and starts the worker, anew, with it."""
    if stack.runs("worker"):
        stack.tell_to_stop("worker")
        stack.wait_stopped("worker")
    stack.change(MODEL_PATH=str(path))
    prepare_served_model(stack.settings)
    stack.start("worker")


def test_its_labels_scale_and_colours_are_those_of_its_training_until_the_file_is_replaced(
    stack: Stack, authored: Path, tmp_path: Path
) -> None:
    file = Path(shutil.copy(authored / "finalModel.keras", tmp_path))
    serve(stack, file)
    first = stack.submit(jpeg(300, 200, GREEN), Prefer="wait=60")["result"]
    sure = math.exp(10) / (math.exp(10) + 2)
    assert first["predicted_class"] == "powdery_mildew"
    assert first["predictions"] == pytest.approx([(1 - sure) / 2, sure, (1 - sure) / 2], abs=1e-4)
    (card,) = stack.client.get("/v1/models").json()["models"]
    assert (card["name"], card["width_px"], card["height_px"]) == ("finalModel", 180, 180)
    assert "interpolation: bilinear" in card["assumed"]

    shutil.copy(authored / "replaced.keras", file)
    serve(stack, file)
    second = stack.submit(jpeg(300, 200, GREEN), Prefer="wait=60")["result"]
    assert second["predicted_class"] == "healthy"
    assert second["model"]["sha256"] != first["model"]["sha256"]
    assert second["model"]["verified"]["largest_shift"] <= 1e-4


@pytest.mark.parametrize("name", ["finalModel.h5", "finalModel"])
def test_other_formats_and_upright_images_are_read_as_well(name: str, stack: Stack, authored: Path) -> None:
    serve(stack, authored / "upright" / name)
    answer = stack.submit(jpeg(100, 100, GREEN), Prefer="wait=60")["result"]
    assert answer["predicted_class"] == "powdery_mildew"

    def is_described() -> bool:
        (card,) = stack.client.get("/v1/models").json()["models"]
        return (card["name"], card["width_px"], card["height_px"]) == ("finalModel", 50, 72)

    wait_for(is_described, "the card of the worker that was killed to be forgotten")


def test_tensorflow_serves_the_exported_graph_and_needs_no_keras(authored: Path, tmp_path: Path) -> None:
    served = {
        "model_path": str(authored / "upright/finalModel.h5"),
        "state_dir": str(tmp_path),
        "engine": "tensorflow",
        "labels": "healthy, powdery_mildew, rust",
        "model_scale": "1/255",
    }
    prepare_served_model(Settings(_env_file=None, **served))
    command = [sys.executable, "-c", _SERVED]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(served), text=True, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["engine"], found["keras"]) == ("tensorflow", [])
    assert found["shift"] < 1e-5
    assert found["sum"] == pytest.approx(16)


def test_what_cannot_be_known_is_asked_for(authored: Path, tmp_path: Path) -> None:
    file = authored / "finalModel.keras"
    with pytest.raises(OperatorError, match=r"finalModel\.keras has 3 classes and LABELS names 0: set LABELS"):
        prepare_served_model(Settings(_env_file=None, state_dir=tmp_path / "var", model_path=file))  # type: ignore[call-arg]


def test_a_file_that_is_no_model_is_refused_with_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "finalModel.keras"
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(OperatorError, match=r"finalModel\.keras cannot be served") as refusal:
        prepare_served_model(Settings(_env_file=None, state_dir=tmp_path / "var", model_path=file))  # type: ignore[call-arg]
    assert "\n" not in str(refusal.value)


def test_a_card_with_its_labels_in_another_order_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "leaf-health"
    shutil.copytree(LEAF_HEALTH, folder, ignore=shutil.ignore_patterns(".training"))
    card = folder / "card.toml"
    swapped = {'id = "healthy"': 'id = "rust"', 'id = "rust"': 'id = "healthy"'}
    lines = [swapped.get(line, line) for line in card.read_text(encoding="utf-8").splitlines()]
    card.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(OperatorError, match=r"shows .* and now gives .*: the card's labels"):
        prepare_served_model(Settings(_env_file=None, state_dir=tmp_path / "var", model_path=folder))  # type: ignore[call-arg]
