"""Jobs over HTTP: submit an image, look at its ticket, withdraw, repeat or erase it."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from redis import RedisError

from api import tickets
from api.services import Caller, Services, ServiceSet
from api.threads import in_thread
from api.tickets import Ticket
from shared import jobstore
from shared.errors import MoveRefused
from shared.jobs import Job, JobStatus, NewJob
from shared.logs import get_logger

log = get_logger(__name__)
router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Prefer = Annotated[str | None, Header(description="`wait=N`: wait up to N seconds (1–60) for the end")]
_UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "a PNG or JPEG image"},
                        "model": {"type": "string"},
                        "priority": {"type": "string", "enum": ["interactive", "batch"], "default": "interactive"},
                    },
                }
            },
            "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
            "image/png": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post("", status_code=202, openapi_extra=_UPLOAD_BODY)
async def submit(
    request: Request, response: Response, services: Services, caller: Caller, prefer: Prefer = None
) -> Ticket:
    """Accepts an image and gives a ticket: 202 means that the job is durable and will end, once."""
    job = await tickets.submit(request, services, caller, strict=True)
    wait_seconds = tickets.asked_wait_seconds(prefer)
    if wait_seconds:
        job = await tickets.find_accepted(services, job, wait_seconds)
        response.headers["Preference-Applied"] = f"wait={wait_seconds}"
        view = await tickets.ticket(services, job)
        response.status_code = 200 if job.terminal else 202
    else:
        view = await tickets.ticket(services, job)
    response.headers["Location"] = tickets.location(job.id)
    if not job.terminal:
        response.headers.update(tickets.retry_after(view))
    return view


@router.get("/{job_id}")
async def look(job_id: str, request: Request, response: Response, services: Services, prefer: Prefer = None) -> Ticket:
    """The job's ticket: its place while it waits, its result or error once it has ended."""
    request.state.job = job_id
    wait_seconds = tickets.asked_wait_seconds(prefer)
    if wait_seconds:
        job = await tickets.find_ended(services, job_id, wait_seconds)
        response.headers["Preference-Applied"] = f"wait={wait_seconds}"
    else:
        job = await tickets.find(services, job_id)
    view = await tickets.ticket(services, job)
    response.headers["Cache-Control"] = "no-store"
    if not job.terminal:
        response.headers.update(tickets.retry_after(view))
    return view


@router.post("/{job_id}/cancel")
async def cancel(job_id: str, request: Request, services: Services) -> Ticket:
    """Withdraws a job that has not ended; 409 with its real state when it has."""
    request.state.job = job_id
    await tickets.find(services, job_id)
    done = await in_thread(
        lambda: services.database.write(lambda connection: jobstore.cancel(connection, job_id), durable=True)
    )
    job = await tickets.find(services, job_id)
    if not done:
        raise MoveRefused(f"The job has {job.status} already; only queued and running jobs can be canceled.")
    await in_thread(_leave_line, services, job)
    return await tickets.ticket(services, job)


@router.post("/{job_id}/retry", status_code=202)
async def retry(job_id: str, request: Request, services: Services) -> Ticket:
    """Runs a failed or canceled job again under the same id."""
    request.state.job = job_id
    await tickets.find(services, job_id)
    done = await in_thread(
        lambda: services.database.write(lambda connection: jobstore.retry(connection, job_id), durable=True)
    )
    job = await tickets.find(services, job_id)
    if not done:
        raise MoveRefused(f"The job is {job.status}; only failed and canceled jobs can be run again.")
    again = NewJob(job.id, job.model, job.caller, job.priority, job.filename, job.received_at, job.queued_at)
    services.intake.hurry([again])
    return await tickets.ticket(services, job)


@router.delete("/{job_id}", status_code=204)
async def erase(job_id: str, request: Request, services: Services) -> None:
    """Erases image and result for good, canceling the job if need be; its id answers 410 from then on."""
    request.state.job = job_id
    job = await tickets.find(services, job_id)

    def bury() -> None:
        services.database.write(lambda connection: jobstore.erase(connection, [job_id]), durable=True)
        # whatever breaks off here leaves an image that the courier finds by its tombstone
        try:
            services.images.delete(job_id)
        except OSError as error:
            log.warning("the image of an erased job is left to the courier", job=job_id, error=str(error))
        else:
            services.database.write(lambda connection: jobstore.forget_images(connection, [job_id]))
        if job.status is JobStatus.QUEUED:
            _leave_line(services, job)

    await in_thread(bury)


def _leave_line(services: ServiceSet, job: Job) -> None:
    try:
        services.line.leave(job.model, [job.id])
    except RedisError:
        return  # whoever takes it finds nothing to claim
