"""A batch, start to end: every job ends by itself, and a fault that is nobody's ends none."""

from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy.exc import OperationalError

from shared import jobstore
from shared.jobs import MAX_LOST, JobStatus
from tests.photos import encoded, jpeg
from tests.shared.make import get, lose
from tests.shared.pictures import ACCEPTED, with_broken_exif
from tests.worker.bench import Bench
from worker.preprocessing import Float32Array

S = JobStatus
WHITE, BLACK = jpeg(color=(255, 255, 255)), jpeg(color=(0, 0, 0))


def test_in_one_batch_each_job_ends_as_its_image_deserves(bench: Bench) -> None:
    damaged = bytearray(ACCEPTED["PNG"])
    damaged[60:80] = bytes(20)
    for id_, image in {"a": WHITE, "b": bytes(damaged), "c": None, "d": BLACK, "e": b"text"}.items():
        bench.queue(id_, image)
    outcomes = bench.runner.run_batch(["a", "b", "c", "d", "e", "unknown"]).outcomes
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
    receipt = {"name": "leaf", "version": "1", "sha256": "", "engine": "tiny", "precision": "f32", "verified": {}}
    assert result["model"] == receipt
    assert list(result["stages_ms"]) == ["decoded", "inferred"]


def test_a_result_carries_the_hints_about_its_own_photo_and_an_answer_all_the_same(bench: Bench) -> None:
    good = Image.effect_noise((64, 64), 90)
    for id_, image in {"a": BLACK, "b": encoded(good, "PNG")}.items():
        bench.queue(id_, image)
    bench.runner.run_batch(["a", "b"])
    found = {id_: get(bench.database, id_).result or {} for id_ in "ab"}
    assert "too_dark" in [hint["code"] for hint in found["a"]["hints"]]
    assert found["b"]["hints"] == []
    assert {result["predicted_class"] for result in found.values()} <= {"healthy", "rust"}


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
    assert [outcome.claim.id for outcome in bench.runner.run_batch(["a", "b"]).outcomes] == ["b"]
    assert (get(bench.database, "a").status, get(bench.database, "a").result) == (S.CANCELED, None)


def test_a_job_lost_and_taken_by_another_meanwhile_is_left_to_it(bench: Bench) -> None:
    def lapse() -> None:
        bench.database.write(lambda connection: jobstore.requeue_owned_by(connection, bench.pulse.owner))
        bench.database.write(lambda connection: jobstore.claim(connection, ["a"], "other", 30))

    bench.queue("a", WHITE)
    bench.engine.meanwhile = lapse
    assert bench.runner.run_batch(["a"]).outcomes == []
    assert (get(bench.database, "a").status, get(bench.database, "a").attempt) == (S.RUNNING, 2)


def test_a_suspect_is_run_alone_only(bench: Bench) -> None:
    for id_ in "ab":
        bench.queue(id_, WHITE)
    lose(bench.database, "a", MAX_LOST - 1)
    assert [outcome.claim.id for outcome in bench.runner.run_batch(["a", "b"]).outcomes] == ["b"]
    assert [outcome.claim.id for outcome in bench.runner.run_batch(["a"]).outcomes] == ["a"]
    assert bench.engine.batches == [1, 1]


def test_nothing_to_claim_is_nothing_to_do(bench: Bench) -> None:
    assert bench.runner.run_batch(["unknown"]).outcomes == []
    assert bench.engine.batches == []


def test_an_image_that_cannot_be_read_fails_alone(bench: Bench) -> None:
    for id_ in "ac":
        bench.queue(id_, WHITE)
    bench.queue("b", None)
    (bench.settings.images_dir / "b" / "b").mkdir()
    bench.runner.run_batch(["a", "b", "c"])
    assert _codes(bench, "abc") == {"a": None, "b": "image-missing", "c": None}
    assert bench.engine.batches == [2]


@pytest.mark.parametrize("mates", ["", "ac"], ids=["alone", "in company"])
def test_an_input_that_the_engine_fails_on_fails_alone(mates: str, bench: Bench) -> None:
    def picky(batch: Float32Array) -> Float32Array:
        if (batch.mean(axis=(1, 2, 3)) > 0.9).any():
            raise RuntimeError("no white")
        return tiny(batch)

    tiny, bench.engine.predict = bench.engine.predict, picky  # type: ignore[method-assign]
    bench.queue("b", WHITE)
    for id_ in mates:
        bench.queue(id_, BLACK)
    bench.runner.run_batch([*mates, "b"])
    assert _codes(bench, f"{mates}b") == {**dict.fromkeys(mates), "b": "model-fault"}
    assert all(get(bench.database, id_).status is S.SUCCEEDED for id_ in mates)


def test_an_engine_that_breaks_down_between_two_images_ends_neither(bench: Bench) -> None:
    def break_down_soon() -> None:
        if len(bench.engine.batches) != 2:  # not on the first image by itself
            raise RuntimeError("out of memory")

    bench.engine.meanwhile = break_down_soon
    for id_ in "ab":
        bench.queue(id_, WHITE)
    with pytest.raises(RuntimeError):
        bench.runner.run_batch(["a", "b"])
    assert bench.engine.batches == [2, 1, 1, 1]
    assert {(get(bench.database, id_).status, get(bench.database, id_).lost_count) for id_ in "ab"} == {(S.QUEUED, 0)}


def test_what_could_not_be_handed_back_is_once_sql_answers_again(bench: Bench) -> None:
    file = Path(bench.settings.sql_url.removeprefix("sqlite:///"))
    away = file.with_suffix(".away")

    def lose_sql() -> None:
        bench.database.close()
        file.rename(away)
        file.mkdir()

    bench.engine.meanwhile = lose_sql
    bench.queue("a", WHITE)
    with pytest.raises(OperationalError):
        bench.runner.run_batch(["a"])
    bench.pulse.hand_back([])  # still down: nothing is raised, nothing is forgotten
    file.rmdir()
    away.rename(file)
    assert get(bench.database, "a").status is S.RUNNING
    bench.pulse.hand_back([])
    job = get(bench.database, "a")
    assert (job.status, job.lost_count, job.attempt) == (S.QUEUED, 0, 1)
    bench.engine.meanwhile = lambda: None
    bench.runner.run_batch(["a"])
    bench.pulse.hand_back([])
    assert get(bench.database, "a").status is S.SUCCEEDED


def _codes(bench: Bench, ids: str) -> dict[str, str | None]:
    return {id_: get(bench.database, id_).error_code for id_ in ids}
