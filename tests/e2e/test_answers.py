"""The bundled model's own photos through every door, under both engines and on both databases."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.settings import Engine
from tests.conftest import shared_stack
from tests.photos import GOLDEN
from tests.stack import Stack
from worker.prepare import prepare_served_model

# how it is set, what serves, and the database, which no engine ever sees; ENGINE=openvino is test_object_store's
RUNS = [
    (Engine.AUTO, "openvino", "sqlite"),
    (Engine.AUTO, "openvino", "postgres"),
    (Engine.TENSORFLOW, "tensorflow", "sqlite"),
]
GOLDEN_IMAGES: list[dict[str, Any]] = json.loads((GOLDEN / "golden.json").read_text())


@pytest.fixture(scope="module", params=RUNS, ids=lambda run: "-".join(run[1:]))
def run(request: pytest.FixtureRequest) -> Iterator[tuple[Stack, str]]:
    """The whole service under each engine, and the name of the engine that must serve."""
    engine, serves, database = request.param
    with shared_stack(request, database, ENGINE=engine) as stack:
        prepare_served_model(stack.settings)  # nothing to do where the engine may be any: all tests share that one
        yield stack.start(), serves


@pytest.fixture
def stack(run: tuple[Stack, str]) -> Stack:
    return run[0]


def test_every_golden_image_gets_the_answer_that_was_recorded_in_training(run: tuple[Stack, str]) -> None:
    stack, engine = run
    for golden in GOLDEN_IMAGES:
        ticket = stack.submit((GOLDEN / golden["file"]).read_bytes(), golden["file"], Prefer="wait=60")
        result = ticket["result"]
        assert ticket["status"] == "succeeded"
        assert result["predicted_class"] == golden["label"]
        assert result["predictions"] == pytest.approx(golden["probabilities"], abs=0.002)
        assert result["model"]["engine"] == engine
        assert list(ticket["timeline"]) == ["received", "queued", "claimed", "decoded", "inferred", "stored"]


@pytest.mark.parametrize("path", ["/predict", "/predict/"])
def test_the_old_contract_answers_in_the_old_form(stack: Stack, path: str) -> None:
    golden = GOLDEN_IMAGES[0]
    answer = stack.client.post(path, files={"file": (golden["file"], (GOLDEN / golden["file"]).read_bytes())})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"filename", "predictions", "predicted_class", "confidence", "probabilities", "job_id"}
    assert body["filename"] == golden["file"]
    assert body["predicted_class"] == golden["label"]
    assert body["confidence"] == max(body["predictions"]) == body["probabilities"][golden["label"]]
    assert list(body["probabilities"].values()) == body["predictions"]


def test_a_raw_body_is_an_image_too(stack: Stack) -> None:
    golden = GOLDEN_IMAGES[0]
    answer = stack.client.post(
        "/v1/jobs",
        content=(GOLDEN / golden["file"]).read_bytes(),
        headers={"Content-Type": "image/jpeg", "Prefer": "wait=60"},
    )
    assert answer.json()["result"]["predicted_class"] == golden["label"]


def test_an_erased_job_is_gone_and_says_so(stack: Stack) -> None:
    golden = Path(GOLDEN_IMAGES[0]["file"])
    ticket = stack.submit((GOLDEN / golden).read_bytes(), golden.name, Prefer="wait=60")
    url = f"/v1/jobs/{ticket['id']}"
    assert stack.client.delete(url).status_code == 204
    gone = stack.client.get(url)
    assert (gone.status_code, gone.json()["code"]) == (410, "job-erased")
    assert not list(stack.settings.images_dir.rglob(ticket["id"]))


def test_metrics_tell_what_happened(stack: Stack) -> None:
    stack.submit((GOLDEN / GOLDEN_IMAGES[0]["file"]).read_bytes(), Prefer="wait=60")
    text = stack.client.get("/metrics").text
    assert 'turno_workers_warm{model="leaf-health"} 1.0' in text
    assert 'turno_line_depth{model="leaf-health"} 0.0' in text
    assert 'turno_jobs_finished_total{code="",status="succeeded"}' in text
