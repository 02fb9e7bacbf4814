"""A batch, start to end: every job ends by itself, and a fault that is nobody's ends none."""

import pytest

from shared import jobstore
from shared.jobs import MAX_LOST, JobStatus
from tests.photos import jpeg
from tests.shared.make import get, lose
from tests.shared.pictures import ACCEPTED, with_broken_exif
from tests.worker.bench import Bench

S = JobStatus
WHITE, BLACK = jpeg(color=(255, 255, 255)), jpeg(color=(0, 0, 0))


def test_in_one_batch_each_job_ends_as_its_image_deserves(bench: Bench) -> None:
    damaged = bytearray(ACCEPTED["PNG"])
    damaged[60:80] = bytes(20)
    for id_, image in {"a": WHITE, "b": bytes(damaged), "c": None, "d": BLACK, "e": b"text"}.items():
        bench.queue(id_, image)
    outcomes = bench.runner.run_batch(["a", "b", "c", "d", "e", "unknown"])
    assert sorted(outcome.claim.id for outcome in outcomes) == ["a", "b", "c", "d", "e"]
    assert {id_: get(bench.database, id_).error_code for id_ in "abcde"} == {
        "a": None, "b": "image-undecodable", "c": "image-missing", "d": None, "e": "image-undecodable",
    }  # fmt: skip
    assert bench.engine.batches == [2]
    classes = [(get(bench.database, id_).result or {})["predicted_class"] for id_ in "ad"]
    assert classes == ["rust", "healthy"]


def test_a_result_names_the_model_and_its_stages(bench: Bench) -> None:
    bench.queue("a", WHITE)
    bench.runner.run_batch(["a"])
    result = get(bench.database, "a").result or {}
    assert result["model"] == {"name": "leaf", "version": "1", "sha256": "", "engine": "tiny", "precision": "f32"}
    assert list(result["stages_ms"]) == ["decoded", "inferred"]


@pytest.mark.parametrize("what", ACCEPTED)
def test_what_the_gate_lets_in_the_worker_can_decode(what: str, bench: Bench) -> None:
    bench.queue("a", ACCEPTED[what])
    bench.runner.run_batch(["a"])
    assert get(bench.database, "a").status is S.SUCCEEDED


def test_a_photo_with_broken_exif_is_judged_as_it_lies(bench: Bench) -> None:
    bench.queue("a", with_broken_exif())
    bench.runner.run_batch(["a"])
    assert get(bench.database, "a").status is S.SUCCEEDED


def test_a_fault_of_the_engine_hands_the_whole_batch_back_uncounted(bench: Bench) -> None:
    def break_down() -> None:
        raise RuntimeError("out of memory")

    bench.engine.meanwhile = break_down
    bench.queue("a", WHITE)
    bench.queue("b", b"damaged")
    with pytest.raises(RuntimeError):
        bench.runner.run_batch(["a", "b"])
    for id_ in "ab":
        job = get(bench.database, id_)
        assert (job.status, job.lost_count, job.error_code) == (S.QUEUED, 0, None)


def test_outputs_that_are_no_probabilities_fail_the_job(bench: Bench) -> None:
    bench.queue("a", WHITE)
    bench.engine.predict = lambda batch: batch[:, 0, 0, :2] * 9  # type: ignore[method-assign]
    bench.runner.run_batch(["a"])
    assert get(bench.database, "a").error_code == "model-fault"


def test_a_job_canceled_while_it_runs_keeps_no_result(bench: Bench) -> None:
    bench.queue("a", WHITE)
    bench.queue("b", WHITE)
    bench.engine.meanwhile = lambda: bench.database.write(lambda connection: jobstore.cancel(connection, "a"))
    assert [outcome.claim.id for outcome in bench.runner.run_batch(["a", "b"])] == ["b"]
    assert (get(bench.database, "a").status, get(bench.database, "a").result) == (S.CANCELED, None)


def test_a_job_lost_and_taken_by_another_meanwhile_is_left_to_it(bench: Bench) -> None:
    def lapse() -> None:
        bench.database.write(lambda connection: jobstore.requeue_owned_by(connection, bench.pulse.owner))
        bench.database.write(lambda connection: jobstore.claim(connection, ["a"], "other", 30))

    bench.queue("a", WHITE)
    bench.engine.meanwhile = lapse
    assert bench.runner.run_batch(["a"]) == []
    assert (get(bench.database, "a").status, get(bench.database, "a").attempt) == (S.RUNNING, 2)


def test_a_suspect_is_run_alone_only(bench: Bench) -> None:
    for id_ in "ab":
        bench.queue(id_, WHITE)
    lose(bench.database, "a", MAX_LOST - 1)
    assert [outcome.claim.id for outcome in bench.runner.run_batch(["a", "b"])] == ["b"]
    assert [outcome.claim.id for outcome in bench.runner.run_batch(["a"])] == ["a"]
    assert bench.engine.batches == [1, 1]


def test_nothing_to_claim_is_nothing_to_do(bench: Bench) -> None:
    assert bench.runner.run_batch(["unknown"]) == []
    assert bench.engine.batches == []
