"""The API over a bucket: an image lies there before its ticket is given, and nowhere once it is erased."""

import pytest

from shared import jobqueries
from shared.errors import OperatorError
from tests.api.conftest import MakeService
from tests.api.service import KEY, Service, assert_problem
from tests.photos import jpeg
from tests.s3_server import BUCKET, S3Server

MARK = "photos/turno-store"


@pytest.fixture
def service(make_service: MakeService, s3: S3Server) -> Service:
    return make_service(api_key=KEY, image_store=f"s3://{BUCKET}/photos", **s3.settings)


def _begun(service: Service) -> list[str]:
    return [path.name for path in (service.settings.state_dir / "images" / "incoming").iterdir()]


def test_an_accepted_image_lies_in_the_bucket_and_an_erased_one_does_not(service: Service, s3: S3Server) -> None:
    job_id = service.queued(jpeg())
    assert s3.stored() == [f"photos/{job_id[-2:]}/{job_id}", MARK]
    assert _begun(service) == []
    assert service.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert s3.stored() == [MARK]


def test_a_refused_image_never_reaches_the_bucket(service: Service, s3: S3Server) -> None:
    assert_problem(service.submit(b"no image"), 415, "image-type-refused")
    answer = service.client.post("/v1/jobs", files={"file": ("a.jpg", jpeg())}, data={"model": "other"})
    assert_problem(answer, 404, "unknown-model")
    assert s3.stored() == [MARK]
    assert _begun(service) == []


@pytest.mark.parametrize("what", ["the server", "the bucket"])
def test_without_the_bucket_nothing_is_accepted_and_nothing_is_left(
    what: str, service: Service, s3: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    assert service.client.get("/readyz").json()["checks"]["images"] == "ok"
    s3.kill() if what == "the server" else s3.remove_bucket()
    answer = service.submit(jpeg())
    assert_problem(answer, 503, "store-unavailable")
    assert answer.headers["Retry-After"]
    assert s3.settings["aws_endpoint_url"] not in answer.text
    assert service.waiting_ids() == _begun(service) == []
    ready = service.client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["images"] == "ok") == (503, False)
    assert f"/{BUCKET}/photos" in caplog.text  # the reason is for the log
    assert s3.fresh().stored() == []
    assert service.submit(jpeg()).status_code == 202


def test_what_is_no_image_is_told_so_without_the_bucket(service: Service, s3: S3Server) -> None:
    s3.kill()
    assert_problem(service.submit(b"no image"), 415, "image-type-refused")


def test_a_service_whose_bucket_is_not_there_does_not_start(make_service: MakeService, s3: S3Server) -> None:
    with pytest.raises(OperatorError, match="IMAGE_STORE: s3://not-there"):
        make_service(api_key=KEY, image_store="s3://not-there", **s3.settings)


def test_what_is_erased_while_the_bucket_is_away_is_erased_for_its_caller(service: Service, s3: S3Server) -> None:
    job_id = service.queued(jpeg())
    s3.kill()
    assert service.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert_problem(service.client.get(f"/v1/jobs/{job_id}"), 410, "job-erased")
    # the courier finds it by its tombstone
    assert service.database.read(lambda connection: jobqueries.leftover_image_ids(connection, "", 10)) == [job_id]
