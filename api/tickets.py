"""A ticket: what a caller sees of a job, and the ways to get one — submit, look, wait."""

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import uuid_utils
from fastapi import Request
from pydantic import BaseModel, Field
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from api.problems import title_of
from api.services import ServiceSet
from api.threads import in_thread
from api.uploads import receive_upload
from shared import jobstore
from shared.errors import JobErased, MalformedRequest, StoreUnavailable, UnknownJob, UnknownModel
from shared.jobs import Job, JobStatus, NewJob, Priority
from shared.logs import get_logger

log = get_logger(__name__)

_ID = re.compile(r"[0-9a-f]{32}")
_WAIT = re.compile(r"(?:^|[,;\s])wait=\"?(\d{1,4})\b")  # RFC 7240
_WAIT_MAX_SECONDS = 60
_KNOWN_FIELDS = {"model", "priority"}


class TicketError(BaseModel):
    """Why a job failed."""

    code: str
    title: str
    detail: str | None


class Ticket(BaseModel):
    """A job as its caller sees it."""

    id: str
    status: JobStatus
    model: str
    priority: str
    filename: str | None
    run: int = Field(description="1, and one more for each retry")
    attempt: int = Field(description="how often a worker took it")
    version: int = Field(description="one more for each change")
    received_at: datetime
    position: int | None = Field(None, description="how many stand before it in the line; null when not known")
    eta_seconds: float | None = Field(None, description="estimated time until its end; null when not known")
    timeline: dict[str, float] = Field(description="milliseconds since `received` at which each stage was reached")
    result: dict[str, Any] | None = None
    error: TicketError | None = None
    urls: dict[str, str]


async def submit(request: Request, services: ServiceSet, caller: str, *, strict: bool) -> Job:
    """Stores the request's image and queues a job for it; durable when this returns.

    Args:
        strict: refuse form fields this service does not know, rather than ignore what they ask for.
    """
    received_at = datetime.now(UTC)
    job_id = uuid_utils.uuid7().hex
    request.state.job = job_id
    upload = await receive_upload(request, services.images, services.settings, job_id)
    try:
        new = NewJob(
            id=job_id,
            model=_model(upload.fields.get("model"), services),
            caller=caller,
            priority=_priority(upload.fields.get("priority", "interactive")),
            filename=upload.filename,
            received_at=received_at,
            queued_at=datetime.now(UTC),
        )
        if strict and (unknown := upload.fields.keys() - _KNOWN_FIELDS):
            raise MalformedRequest(f"Unknown form fields: {', '.join(sorted(unknown))[:200]}.")
    except Exception:
        with suppress(OSError, StoreUnavailable):  # what cannot be removed now is swept
            await in_thread(services.images.delete, job_id)
        raise
    await services.intake.submit(new)  # an unclear commit keeps the image: its row may be there; if not, it is swept
    services.accepted.labels(new.model).inc()
    return _fresh(new)


async def find(services: ServiceSet, job_id: str) -> Job:
    """The job with this id.

    Raises:
        UnknownJob, JobErased
    """
    if not _ID.fullmatch(job_id):
        raise UnknownJob
    found = await in_thread(lambda: services.database.read(lambda connection: jobstore.get(connection, [job_id])))
    if not found:
        raise UnknownJob
    if found[0].erased_at:
        raise JobErased
    return found[0]


async def find_ended(services: ServiceSet, job_id: str, wait_seconds: float) -> Job:
    """The job once it has ended, or as it stands when the wait is over.

    Raises:
        UnknownJob, JobErased
    """
    async with services.waiting.watching(job_id) as moved:
        job = await find(services, job_id)
        end = asyncio.get_running_loop().time() + wait_seconds
        while not job.terminal:
            try:
                async with asyncio.timeout_at(end):
                    await moved.wait()
            except TimeoutError:
                return await find(services, job_id)
            moved.clear()
            job = await find(services, job_id)
        return job


async def find_accepted(services: ServiceSet, accepted: Job, wait_seconds: float) -> Job:
    """The same for a job just accepted: a database that fails now does not take its ticket away."""
    try:
        return await find_ended(services, accepted.id, wait_seconds)
    except (SQLAlchemyError, StoreUnavailable) as error:
        log.warning("an accepted job cannot be looked at now", job=accepted.id, exc_info=error)
        return accepted


async def ticket(services: ServiceSet, job: Job) -> Ticket:
    """The caller's view of a job, with its place in the line while it waits."""
    position = eta = None
    if job.status is JobStatus.QUEUED:
        with suppress(StoreUnavailable):  # no thread is free for it: a ticket is a ticket without its place
            position, eta = await in_thread(_place, services, job)
    timeline = _timeline(job)
    result = None
    if job.result is not None:
        result = {"filename": job.filename, **job.result, "timeline": timeline}
        del result["stages_ms"]
    return Ticket(
        **{name: getattr(job, name) for name in ("id", "status", "model", "filename", "run", "attempt", "version")},
        priority=job.priority.name.lower(),
        received_at=job.received_at,
        position=position,
        eta_seconds=eta,
        timeline=timeline,
        result=result,
        error=TicketError(code=job.error_code, title=title_of(job.error_code), detail=job.error_detail)
        if job.error_code
        else None,
        urls={"self": location(job.id), **{verb: f"{location(job.id)}/{verb}" for verb in ("cancel", "retry")}},
    )


def location(job_id: str) -> str:
    """Where a job is found."""
    return f"/v1/jobs/{job_id}"


def asked_wait_seconds(prefer: str | None) -> int:
    """The seconds of `Prefer: wait=N`, at most 60; 0 when no wait was asked for."""
    match = _WAIT.search(prefer or "")
    return min(int(match[1]), _WAIT_MAX_SECONDS) if match else 0


def retry_after(view: Ticket) -> dict[str, str]:
    """The header that says when to ask again: the estimate, within 1 to 30 seconds."""
    return {"Retry-After": str(max(1, min(30, round(view.eta_seconds or 1))))}


def _place(services: ServiceSet, job: Job) -> tuple[int | None, float | None]:
    try:
        position = services.line.position(job.model, job.id)
        costs = [note.seconds_per_job for note in services.presence.warm(job.model)]
    except RedisError:
        return None, None
    known = [cost for cost in costs if cost is not None]
    if position is None or not known:
        return position, None
    # Little's law: those before it and itself, at the rate of all warm workers
    rate = len(costs) * len(known) / sum(known)
    return position, round((position + 1) / rate, 2)


def _timeline(job: Job) -> dict[str, float]:
    def since_received(moment: datetime | None) -> float | None:
        return None if moment is None else max(0.0, round((moment - job.received_at).total_seconds() * 1000, 1))

    claimed = since_received(job.claimed_at)
    stages = (job.result or {}).get("stages_ms", {})
    moments = {
        "received": 0.0,
        "queued": since_received(job.queued_at),
        "claimed": claimed,
        **{name: round((claimed or 0) + elapsed, 1) for name, elapsed in stages.items()},
        "stored": since_received(job.finished_at),
    }
    return {name: moment for name, moment in moments.items() if moment is not None}


def _model(name: str | None, services: ServiceSet) -> str:
    if name not in (None, "", services.model):
        raise UnknownModel(f"No model named {str(name)[:100]!r} is served here; {services.model} is.")
    return services.model


def _priority(name: str) -> Priority:
    try:
        return Priority[name.upper()]
    except KeyError as error:
        raise MalformedRequest("priority must be interactive or batch.") from error


def _fresh(new: NewJob) -> Job:
    return Job(
        id=new.id,
        model=new.model,
        caller=new.caller,
        priority=new.priority,
        filename=new.filename,
        status=JobStatus.QUEUED,
        run=1,
        attempt=0,
        lost_count=0,
        version=1,
        received_at=new.received_at,
        queued_at=new.queued_at,
        claimed_at=None,
        finished_at=None,
        erased_at=None,
        result=None,
        error_code=None,
        error_detail=None,
    )
