"""A worker over a bucket: what it cannot fetch now is nobody's fault, and is fetched later."""

from dataclasses import replace

import pytest

from shared import jobqueries, jobstore
from shared.errors import StoreUnavailable
from shared.images import open_images
from shared.jobs import JobStatus
from shared.settings import Settings
from tests.photos import jpeg
from tests.s3_server import BUCKET, DENIED, S3Server
from tests.shared.make import get
from tests.worker.bench import Bench
from worker.retention import Retention
from worker.runner import Runner


@pytest.fixture
def far(bench: Bench, s3: S3Server) -> Bench:
    """The bench with its images in a bucket."""
    given = {**bench.settings.model_dump(), **s3.settings, "image_store": f"s3://{BUCKET}"}
    settings = Settings(_env_file=None, **given)
    images = open_images(settings)
    images.prepare()
    runner = Runner(settings, bench.database, images, bench.runner._model, bench.pulse)
    return replace(bench, settings=settings, images=images, runner=runner)


def test_the_images_of_a_batch_come_back_each_to_its_own_job(far: Bench) -> None:
    ids = [f"{number:02}" for number in range(20)]
    for id_ in ids:
        far.queue(id_, None if id_ == "13" else jpeg(color=(255, 255, 255) if id_ < "10" else (0, 0, 0)))
    assert len(far.runner.run_batch(ids).outcomes) == 20
    assert get(far.database, "13").error_code == "image-missing"
    classes = {id_: (get(far.database, id_).result or {}).get("predicted_class") for id_ in ids if id_ != "13"}
    assert classes == {id_: "rust" if id_ < "10" else "healthy" for id_ in ids if id_ != "13"}


def test_an_image_that_may_not_be_read_fails_alone(far: Bench) -> None:
    for id_ in ("a", DENIED, "b"):
        far.queue(id_, jpeg())
    assert len(far.runner.run_batch(["a", DENIED, "b"]).outcomes) == 3
    assert get(far.database, DENIED).error_code == "image-missing"
    assert [get(far.database, id_).status for id_ in "ab"] == [JobStatus.SUCCEEDED] * 2


@pytest.mark.parametrize("what", ["the server", "the bucket"])
def test_a_bucket_that_is_gone_hands_the_batch_back_uncounted(what: str, far: Bench, s3: S3Server) -> None:
    for id_ in "ab":
        far.queue(id_, jpeg())
    s3.kill() if what == "the server" else s3.remove_bucket()
    with pytest.raises(StoreUnavailable):
        far.runner.run_batch(["a", "b"])
    for id_ in "ab":
        job = get(far.database, id_)
        assert (job.status, job.lost_count, job.error_code) == (JobStatus.QUEUED, 0, None)


def test_an_erasure_that_the_bucket_refused_is_completed_later(far: Bench, s3: S3Server) -> None:
    retention = Retention(far.settings, far.database, far.images)
    far.queue("a", jpeg())
    far.database.write(lambda connection: jobstore.erase(connection, ["a"]))
    objects = {key: s3.get(key) for key in s3.stored()}
    s3.kill()
    retention.erase(far.database.read(jobqueries.now))
    assert far.database.read(lambda connection: jobqueries.leftover_image_ids(connection, "", 9)) == ["a"]
    s3.fresh()
    for key, content in objects.items():
        s3.put(key, content)
    retention.erase(far.database.read(jobqueries.now))
    assert far.database.read(lambda connection: jobqueries.leftover_image_ids(connection, "", 9)) == []
    assert s3.stored() == ["turno-store"]
