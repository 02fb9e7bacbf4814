"""Which errors a route may answer with, as OpenAPI has it: problems by status, with an example for each code."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.batches import RefusedFile
from api.problems import MEDIA_TYPE, STATUS
from shared import errors


class Problem(BaseModel):
    """What every refusal looks like (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={"required": ["type", "title", "status", "detail", "code", "request_id"]}
    )

    type: str = Field(description="`urn:turno:problem:` and the code")
    title: str = Field(description="the fixed sentence for the code")
    status: int
    detail: str = Field(description="what is wrong in this case, for people")
    code: str = Field(description="stable; docs/errors.md lists them")
    request_id: str = Field(description="finds the request in the service's log")
    violated_policies: list[str] = Field(
        alias="violated-policies", description="of 429: `rate` or `images`, as in the header RateLimit"
    )
    refused: list[RefusedFile] = Field(description="of `batch-refused`: each file, and why")
    job_id: str = Field(description="of `POST /predict`: the job, which may go on")


Refusals = dict[int | str, dict[str, Any]]

_REQUEST_ID = "9b1f0c2d7e5a4c3f8a6b4d2e1f0a9c8b"
_EXTENSIONS: dict[type[errors.TurnoError], dict[str, Any]] = {
    errors.RateExceeded: {"violated-policies": ["rate"]},
    errors.QuotaExceeded: {"violated-policies": ["images"]},
    errors.BatchRefused: {
        "refused": [
            {
                "index": 0,
                "filename": "README.md",
                "code": errors.ImageTypeRefused.code,
                "detail": errors.ImageTypeRefused.title(),
            }
        ]
    },
    errors.PredictTimeout: {"job_id": "019aa5c0e7f27d3c8f6d3c5b7a1e9f40"},
}

OF_A_JOB = (errors.UnknownJob, errors.JobErased)
OF_A_BATCH = (errors.UnknownBatch, errors.BatchErased)
_OF_A_BODY = (
    errors.MalformedRequest,
    errors.UnknownModel,
    errors.UploadTooSlow,
    errors.UploadTooLarge,
    errors.WebhookRefused,
    errors.KeyReused,
    errors.QuotaExceeded,
    errors.QueueFull,
    errors.StorageFull,
    errors.NamesUnavailable,
)
OF_AN_IMAGE = (
    *_OF_A_BODY,
    errors.JobErased,
    errors.ImageTypeRefused,
    errors.ImageUndecodable,
    errors.ImageTooManyPixels,
)
OF_IMAGES = (*_OF_A_BODY, errors.BatchErased, errors.BatchRefused)
OF_A_PREDICTION = (
    *OF_AN_IMAGE,
    errors.MoveRefused,
    errors.PredictTimeout,
    errors.WorkerLost,
    errors.ModelGone,
    errors.ImageMissing,
    errors.ModelFault,
    errors.DeadlineExceeded,
)


def refusals(*kinds: type[errors.TurnoError]) -> Refusals:
    """What a route says in its `responses` of the errors that it raises."""
    found: Refusals = {}
    for kind in kinds:
        status = STATUS[kind]
        response = found.setdefault(status, _response(status))
        response["content"][MEDIA_TYPE]["examples"][kind.code] = {"summary": kind.title(), "value": _example(kind)}
    return found


def _response(status: int) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
    }
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        response["headers"] = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
    if status == HTTPStatus.UNAUTHORIZED:
        response["headers"] = {"WWW-Authenticate": {"$ref": "#/components/headers/WWWAuthenticate"}}
    return response


def _example(kind: type[errors.TurnoError]) -> dict[str, Any]:
    return {
        "type": f"urn:turno:problem:{kind.code}",
        "title": kind.title(),
        "status": STATUS[kind],
        "detail": kind.title(),
        "code": kind.code,
        **_EXTENSIONS.get(kind, {}),
        "request_id": _REQUEST_ID,
    }
