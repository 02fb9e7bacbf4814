"""`POST /predict`: the blocking contract that older clients speak, served through the same line."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from api import problems, tickets
from api.services import Caller, Services
from shared.errors import MoveRefused, PredictTimeout, TurnoError
from shared.jobs import JobStatus

router = APIRouter(tags=["predict"])

_ANSWER = ("predictions", "predicted_class", "confidence", "probabilities")


@router.post("/predict", response_model=None)
@router.post("/predict/", response_model=None, include_in_schema=False)
async def predict(request: Request, services: Services, caller: Caller) -> Response | dict[str, Any]:
    """Waits for the prediction of one uploaded image (multipart field `file`)."""
    accepted = await tickets.submit(request, services, caller, strict=False)
    job = await tickets.find_accepted(services, accepted, services.settings.predict_wait_seconds)
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
