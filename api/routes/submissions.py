"""The way in: an image is submitted, and its ticket answered."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from api import lookup, tickets
from api.direct import DirectRoute
from api.preferences import PREFER, parse_preferences
from api.refusals import OF_AN_IMAGE, refusals
from api.routes.jobs import JobId
from api.schemas import ACCEPTED, IDEMPOTENCY_KEY
from api.services import ServiceSet
from api.submission import submit
from api.tickets import Ticket
from api.uploadschema import upload
from shared.jobs import ApiKey

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=DirectRoute)

Prefer = Annotated[list[str] | None, PREFER]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=257, **IDEMPOTENCY_KEY)]


@router.post(
    "",
    status_code=202,
    operation_id="create_job",
    summary="Submit an image",
    response_model=Ticket,
    responses=ACCEPTED | refusals(*OF_AN_IMAGE),
    openapi_extra=upload(),
)
async def create(request: Request, idempotency_key: IdempotencyKey = None, prefer: Prefer = None) -> Response:
    """Accepts an image and gives a ticket: 202 means that the job is durable and will end, once."""
    return await _accept(request)


@router.put(
    "/{job_id}",
    status_code=202,
    operation_id="put_job",
    summary="Submit an image under an id of your own",
    response_model=Ticket,
    responses=ACCEPTED | refusals(*OF_AN_IMAGE),
    openapi_extra=upload(),
)
async def put(
    request: Request,
    job_id: JobId,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Accepts an image under a name of the caller's; the same again gives the same job, however often and late."""
    return await _accept(request, job_id)


async def _accept(request: Request, client_id: str | None = None) -> Response:
    services: ServiceSet = request.app.state.services
    caller: ApiKey = request.state.key
    preferred = parse_preferences(request.headers.getlist("prefer"))
    accepted = await submit(request, services, caller, strict=True, client_id=client_id)
    job = accepted.job
    if preferred.wait_seconds:
        job = await lookup.find_accepted(services, caller, job, preferred.wait_seconds)
    view = await tickets.ticket(services, job)
    headers = {"Location": tickets.location(job.id)} | preferred.headers | view.retry_after()
    if accepted.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(view.model_dump_json(), 200 if job.terminal else 202, headers, "application/json")
