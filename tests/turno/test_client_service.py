"""The client against the real service, as real processes: one for all tests, to which each is another caller."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import shared_stack
from tests.photos import HELD_PX, jpeg
from tests.stack import ROOT, Stack
from turno.client import JobFailed, Refused, Turno

EXAMPLES = ROOT / "api" / "static" / "examples"
KEYS = [secrets.token_hex(16) for _ in range(10)]


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[tuple[Stack, Iterator[str]]]:
    """The service, and keys that nobody has used."""
    with shared_stack(request, API_KEY=",".join(KEYS), TEST_WORKER="tests.e2e.held_worker") as stack:
        yield stack.start(), iter(KEYS)


@pytest.fixture
def turno(service: tuple[Stack, Iterator[str]]) -> Iterator[tuple[Stack, Turno]]:
    stack, keys = service
    stack.have().forget_held()
    with Turno(stack.url, next(keys)) as turno:
        yield stack, turno
    stack.release_held()


def test_an_image_is_submitted_waited_for_watched_listed_and_erased(turno: tuple[Stack, Turno], tmp_path: Path) -> None:
    stack, client = turno
    (model,) = client.models()
    assert model.ready
    assert "rust" in model.labels
    first = client.submit(EXAMPLES / "rust.jpg")
    result = client.result(first)
    assert result.predicted_class == "rust"
    assert tuple(result.probabilities) == model.labels
    assert result.model is not None
    assert result.model.name == model.name

    held = client.submit(jpeg(*HELD_PX), client_id="tree-7", metadata={"row": 3})
    again = client.submit(jpeg(*HELD_PX), client_id="tree-7", metadata={"row": 3})
    assert again.id == held.id
    stack.wait_held()
    seen = client.watch("tree-7")
    assert next(seen).status == "running"
    stack.release_held()
    last = list(seen)[-1]
    assert (last.id, last.status, last.metadata) == (held.id, "succeeded", {"row": 3})
    assert client.wait("tree-7").ended

    assert [job.id for job in client.jobs(status="succeeded")] == [held.id, first.id]
    client.erase("tree-7")
    client.erase(held)
    with pytest.raises(Refused) as gone:
        client.get(held)
    assert gone.value.code == "job-erased"


def test_a_withdrawn_job_can_be_run_again(turno: tuple[Stack, Turno]) -> None:
    stack, client = turno
    held = client.submit(jpeg(*HELD_PX))
    stack.wait_held()
    assert client.cancel(held).status == "canceled"
    with pytest.raises(JobFailed) as withdrawn:
        client.result(held)
    assert withdrawn.value.code == "canceled"
    stack.release_held()
    assert client.retry(held).run == 2
    assert client.result(held).predicted_class


def test_a_batch_is_streamed_counted_and_answered_in_order(turno: tuple[Stack, Turno], tmp_path: Path) -> None:
    _, client = turno
    broken = tmp_path / "broken.jpg"
    broken.write_bytes((EXAMPLES / "rust.jpg").read_bytes()[:500])
    images = [EXAMPLES / "healthy.jpg", broken, EXAMPLES / "rust.jpg"]
    batch = client.batch(images, idempotency_key="once", keep="result")
    assert client.batch(images, idempotency_key="once", keep="result").ids == batch.ids
    *_, done = client.watch_batch(batch, timeout_seconds=60)
    assert done.counts == {"succeeded": 2, "refused": 1}
    results = client.batch_results(batch)
    assert [(one.filename, one.status, one.predicted_class) for one in results] == [
        ("healthy.jpg", "succeeded", "healthy"),
        ("broken.jpg", "refused", None),
        ("rust.jpg", "succeeded", "rust"),
    ]
    assert results[1].error is not None
    assert results[1].error.code == "image-undecodable"
    assert {job.batch_id for job in client.jobs(batch=batch.ids[0])} == {batch.ids[0]}
    only_bad = client.batch([broken, tmp_path / "broken.jpg"])
    assert only_bad.ids == ()
    assert [one.error and one.error.code for one in client.batch_results(only_bad)] == ["image-undecodable"] * 2


def test_a_client_lives_through_a_restart_of_the_service(turno: tuple[Stack, Turno]) -> None:
    stack, client = turno
    held = client.submit(jpeg(*HELD_PX))
    stack.wait_held()
    seen = client.watch(held)
    assert next(seen).status == "running"
    stack.kill("api")
    stack.start("api")
    stack.release_held()
    assert list(seen)[-1].status == "succeeded"
