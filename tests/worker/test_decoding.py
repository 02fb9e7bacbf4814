"""Chunks of a batch: in order, ahead of the model where there is a second CPU, and not begun when time is up."""

import threading
from typing import BinaryIO

import pytest

from shared.images.local import LocalImages
from shared.jobs import JobStatus as S
from tests.photos import jpeg
from tests.shared.make import get
from tests.worker.bench import Bench
from worker.runner import Runner


def _runner(bench: Bench, threads: int, images: LocalImages | None = None) -> Runner:
    bench.engine.micro_batch = 2
    bench.settings.worker_threads = threads
    return Runner(bench.settings, bench.database, images or bench.images, bench.runner._model, bench.pulse)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_each_image_gets_its_own_answer_however_many_are_decoded_ahead(threads: int, bench: Bench) -> None:
    shades = dict(zip("abcde", (0, 60, 120, 180, 240), strict=True))
    for id_, shade in shades.items():
        bench.queue(id_, None if id_ == "b" else jpeg(color=(shade, shade, shade)))
    ran = _runner(bench, threads).run_batch(list("edcba"))
    assert [outcome.claim.id for outcome in ran.outcomes if outcome.result] == list("edca")
    assert bench.engine.batches == [2, 1, 1]  # b has no image
    for id_ in "acde":
        found = (get(bench.database, id_).result or {})["probabilities"]["rust"]
        assert abs(found - shades[id_] / 255) < 0.02
    assert get(bench.database, "b").error_code == "image-missing"


def test_with_a_second_cpu_the_next_images_are_decoded_while_the_model_runs(bench: Bench) -> None:
    opened = threading.Event()

    class Watched(LocalImages):
        def open(self, job_id: str) -> BinaryIO:
            if job_id == "c":
                opened.set()
            return super().open(job_id)

    def wait_for_the_next() -> None:
        assert opened.wait(20), "the second chunk is not read while the model has the first"

    bench.engine.meanwhile = wait_for_the_next
    for id_ in "abcd":
        bench.queue(id_, jpeg())
    runner = _runner(bench, 2, Watched(bench.settings.images_dir))
    assert len(runner.run_batch(list("abcd")).outcomes) == 4
    assert bench.engine.batches == [2, 2]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_not_begun_when_time_is_up_goes_back_uncounted(threads: int, bench: Bench) -> None:
    bench.settings.batch_seconds = 1e-9
    for id_ in "abcd":
        bench.queue(id_, jpeg())
    ran = _runner(bench, threads).run_batch(list("abcd"))
    assert [outcome.claim.id for outcome in ran.outcomes] == ["a"]
    assert [claim.id for claim in ran.left] == ["b", "c", "d"]
    for id_ in "bcd":
        job = get(bench.database, id_)
        assert (job.status, job.lost_count, job.attempt) == (S.QUEUED, 0, 1)
    assert get(bench.database, "a").status is S.SUCCEEDED
