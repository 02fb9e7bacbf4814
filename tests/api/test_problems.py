"""Every error has one status, and its document is the only kind there is."""

import json

import pytest

from api.problems import MEDIA_TYPE, STATUS, error_of, problem
from shared.description import describe_error
from shared.errors import ImageUndecodable, JobError, TurnoError
from tests.shared.make import error_classes


def test_every_error_is_mapped_and_nothing_else() -> None:
    assert set(STATUS) == set(error_classes())


@pytest.mark.parametrize("error", error_classes())
def test_an_errors_document_has_every_member(error: type[TurnoError]) -> None:
    answer = problem(error("What happened here."), job_id="7")
    document = json.loads(bytes(answer.body))
    assert answer.status_code == STATUS[error] == document["status"]
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert (document["code"], document["title"]) == (error.code, error.title())
    assert (document["detail"], document["job_id"]) == ("What happened here.", "7")
    assert document["type"].endswith(f":{error.code}")


@pytest.mark.parametrize("error", error_classes())
def test_who_is_to_come_back_later_is_told_when(error: type[TurnoError]) -> None:
    answer = problem(error())
    assert ("retry-after" in answer.headers) is (STATUS[error] == 503)
    assert ("www-authenticate" in answer.headers) is (STATUS[error] == 401)


@pytest.mark.parametrize("error", error_classes())
def test_a_recorded_code_leads_back_to_its_error(error: type[TurnoError]) -> None:
    assert type(error_of(error.code, "Said so.")) is error
    assert describe_error(error.code, None)["title"] == error.title()


def test_a_code_of_an_older_version_is_a_failed_job() -> None:
    assert type(error_of("no-longer-known", None)) is JobError
    assert error_of(ImageUndecodable.code, None).detail == ImageUndecodable.title()
