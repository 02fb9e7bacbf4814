"""Jobs over HTTP: look at a ticket, withdraw, repeat or erase a job."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response

from api import lookup, tickets
from api.preferences import Preferred
from api.refusals import OF_A_JOB, refusals
from api.schemas import CANCELED, ERASED, JOB_ID, RETRIED, TICKET
from api.services import Caller, Services
from api.threads import in_thread
from api.tickets import Ticket
from api.withdrawal import bury
from shared import jobstore
from shared.errors import MoveRefused
from shared.jobs import JobStatus

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

JobId = Annotated[str, Path(**JOB_ID)]


@router.get("/{job_id}", operation_id="get_job", summary="Look at a ticket", responses=TICKET | refusals(*OF_A_JOB))
async def look(
    job_id: JobId,
    request: Request,
    response: Response,
    services: Services,
    caller: Caller,
    preferred: Preferred,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Any:
    """The job's ticket: its place while it waits, its result or error once it has ended."""
    job = await lookup.find_ended(services, caller, job_id, preferred.wait_seconds)
    request.state.job = job.id
    view = await tickets.ticket(services, job)
    headers = {"ETag": view.entity_tag(), "Cache-Control": "private, no-cache"}
    headers |= preferred.headers | view.retry_after()
    if if_none_match is not None and view.is_as_in(if_none_match):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return view


@router.post(
    "/{job_id}/cancel",
    operation_id="cancel_job",
    summary="Withdraw a job",
    responses=CANCELED | refusals(*OF_A_JOB, MoveRefused),
)
async def cancel(job_id: JobId, request: Request, services: Services, caller: Caller) -> Ticket:
    """Withdraws a job that has not ended; 409 with its real state when it has."""
    job = await lookup.find(services, caller, job_id)
    request.state.job = job.id
    done = await services.write(partial(jobstore.cancel, job_id=job.id))
    job = await lookup.find(services, caller, job.id)
    if not done:
        raise MoveRefused(f"The job has {job.status} already; only queued and running jobs can be canceled.")
    await in_thread(services.line.leave, [job.queued()])
    await services.waiting.announce([job.id])
    return await tickets.ticket(services, job)


@router.post(
    "/{job_id}/retry",
    status_code=202,
    operation_id="retry_job",
    summary="Run a failed or canceled job again",
    responses=RETRIED | refusals(*OF_A_JOB, MoveRefused),
)
async def retry(job_id: JobId, request: Request, response: Response, services: Services, caller: Caller) -> Ticket:
    """Runs a failed or canceled job again under the same id."""
    job = await lookup.find(services, caller, job_id)
    request.state.job = job.id
    async with services.backlog.room():
        done = await services.write(partial(jobstore.retry, job_id=job.id))
    job = await lookup.find(services, caller, job.id)
    if not done and job.status in (JobStatus.FAILED, JobStatus.CANCELED):
        raise MoveRefused("The job's image was not kept beyond its end: submit it anew.")
    if not done:
        raise MoveRefused(f"The job is {job.status}; only failed and canceled jobs can be run again.")
    services.intake.hurry([job.queued()])
    await services.waiting.announce([job.id])
    view = await tickets.ticket(services, job)
    response.headers.update({"Location": tickets.location(job.id)} | view.retry_after())
    return view


@router.delete(
    "/{job_id}",
    status_code=204,
    operation_id="erase_job",
    summary="Erase image and result",
    responses=ERASED | refusals(*OF_A_JOB),
)
async def erase(job_id: JobId, request: Request, services: Services, caller: Caller) -> None:
    """Erases image and result for good, canceling the job if need be; its id answers 410 from then on."""
    job = await lookup.find(services, caller, job_id)
    request.state.job = job.id
    await in_thread(bury, services, job)
    await services.waiting.announce([job.id])
