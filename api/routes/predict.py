"""`POST /predict`: the blocking contract that older clients speak, served through the same line."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from api import lookup, problems, tickets
from api.refusals import OF_A_PREDICTION, refusals
from api.routes.submissions import IdempotencyKey
from api.schemas import PREDICTED
from api.services import Caller, Services
from api.submission import submit
from api.uploadschema import upload
from shared.errors import MoveRefused, PredictTimeout, TurnoError
from shared.jobs import JobStatus

router = APIRouter(tags=["predict"])

_ANSWER = ("predictions", "predicted_class", "confidence", "probabilities")


@router.post(
    "/predict",
    response_model=None,
    operation_id="predict",
    summary="Wait for a prediction",
    responses=PREDICTED | refusals(*OF_A_PREDICTION),
    openapi_extra=upload(strict=False),
)
@router.post("/predict/", response_model=None, include_in_schema=False)
async def predict(
    request: Request, services: Services, caller: Caller, idempotency_key: IdempotencyKey = None
) -> Response | dict[str, Any]:
    """Waits for the prediction of one uploaded image (multipart field `file`)."""
    accepted = await submit(request, services, caller, strict=False)
    job = await lookup.find_accepted(services, caller, accepted.job, services.settings.predict_wait_seconds)
    where = {"Location": tickets.location(job.id)}
    if job.status is JobStatus.SUCCEEDED and job.result is not None:
        answer = {"filename": job.filename, **{key: job.result[key] for key in _ANSWER}, "job_id": job.id}
        return JSONResponse(answer, headers=where)
    if job.status is JobStatus.CANCELED:
        error: TurnoError = MoveRefused("The job was canceled.")
    elif job.terminal and job.error_code:
        error = problems.error_of(job.error_code, job.error_detail)
    else:
        error = PredictTimeout()
    return problems.problem(error, where, job_id=job.id, request_id=request.state.request_id)
