"""A ticket: what a caller sees of a job."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.answers import Described, Priority, Result, Timeline
from api.gathering import Gathered
from api.places import NOWHERE, Place, places
from api.services import ServiceSet
from shared.description import describe, describe_error
from shared.hooks import Event
from shared.jobs import Job, JobStatus, Keep

_RETRY_MAX_SECONDS = 30


class TicketError(BaseModel):
    """Why a job failed."""

    code: str = Field(description="stable; docs/errors.md lists them")
    title: str
    detail: str | None


class TicketUrls(BaseModel):
    """Where the job's other routes are."""

    self: str
    events: str
    cancel: str
    retry: str
    deliveries: str


class Ticket(BaseModel):
    """A job as its caller sees it."""

    id: str
    client_id: str | None = Field(description="the caller's own name for it, when it was made with PUT")
    batch_id: str | None
    status: JobStatus
    model: str
    priority: Annotated[str, Described(Priority)]
    keep: Keep
    filename: str | None
    metadata: dict[str, Any] | None = Field(description="what the caller sent along")
    run: int = Field(description="1, and one more for each retry")
    attempt: int = Field(description="how often a worker took it")
    version: int = Field(description="one more for each change")
    received_at: datetime
    deadline_at: datetime | None = Field(description="when it fails unless a worker has it by then")
    webhook_url: str | None = Field(description="who is told, beside the registered webhooks")
    webhook_events: list[Annotated[str, Described(Event)]] | None = Field(description="of what")
    position: int | None = Field(description="how many stand before it in the line; null when not known")
    eta_seconds: float | None = Field(description="estimated time until its end; null when not known")
    timeline: Annotated[dict[str, float], Described(Timeline)]
    result: Annotated[dict[str, Any], Described(Result)] | None
    error: TicketError | None
    urls: TicketUrls

    def retry_after(self) -> dict[str, str]:
        """The header that says when to ask again: the estimate, within 1 to 30 seconds; none once it has ended."""
        if self.status not in (JobStatus.QUEUED, JobStatus.RUNNING):
            return {}
        return {"Retry-After": str(max(1, min(_RETRY_MAX_SECONDS, round(self.eta_seconds or 1))))}

    def is_as_in(self, if_none_match: str) -> bool:
        """Whether the caller of this `If-None-Match` has it already (RFC 9110, 13.1.2)."""
        known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
        return bool(known & {self.entity_tag().removeprefix("W/"), "*"})

    def entity_tag(self) -> str:
        """What changes with the job and its place; weak, for the estimate may differ (RFC 9110, 8.8.3)."""
        place = "" if self.position is None else f".{self.position}"
        return f'W/"{self.id}.{self.version}{place}"'


async def ticket(services: ServiceSet, job: Job) -> Ticket:
    """The caller's view of a job, with its place in the line while it waits."""
    return (await tickets(services, [job]))[0]


async def tickets(services: ServiceSet, jobs: Sequence[Job]) -> list[Ticket]:
    """The same for several."""
    by_model: dict[str, list[str]] = defaultdict(list)
    for job in jobs:
        if job.status is JobStatus.QUEUED:
            by_model[job.model].append(job.id)
    found: dict[str, Place] = {}
    for model, ids in by_model.items():
        if model not in services.places:
            services.places[model] = Gathered(partial(places, services, model))
        found |= await services.places[model].answer(ids)
    return [_view(job, *found.get(job.id, NOWHERE)) for job in jobs]


def location(job_id: str) -> str:
    """Where a job is found."""
    return f"/v1/jobs/{job_id}"


def ticket_error(code: str, detail: str | None) -> TicketError:
    """A recorded error, with its fixed sentence."""
    return TicketError(**describe_error(code, detail))


def _view(job: Job, position: int | None, eta_seconds: float | None) -> Ticket:
    return Ticket(**describe(job), position=position, eta_seconds=eta_seconds)
