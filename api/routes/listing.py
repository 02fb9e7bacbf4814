"""The list of a caller's jobs, newest first, page by page."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from api import tickets
from api.lookup import find_batch
from api.moments import Moment
from api.paging import ID, PageQuery, cut
from api.refusals import OF_A_BATCH, refusals
from api.schemas import PAGE
from api.services import Caller, Services
from api.tickets import Ticket
from shared import jobqueries
from shared.errors import MalformedRequest
from shared.jobqueries import Selection
from shared.jobs import JobStatus, Scope

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


class ListQuery(PageQuery):
    """Which jobs, and how many."""

    status: JobStatus | None = None
    model: str | None = Field(None, max_length=100, pattern=r"^[^\x00-\x1f]*$")
    batch: str | None = Field(None, pattern=ID)
    created_after: Moment | None = Field(None, description="received at this time or later, with its zone")
    created_before: Moment | None = Field(None, description="received before this time, with its zone")


class TicketPage(BaseModel):
    """Some jobs, and where the older ones are."""

    jobs: list[Ticket]
    next: str | None = Field(description="the next page; null on the last")


@router.get(
    "",
    operation_id="list_jobs",
    summary="List jobs",
    responses=PAGE | refusals(MalformedRequest, *OF_A_BATCH),
)
async def list_jobs(
    query: Annotated[ListQuery, Query()], response: Response, services: Services, caller: Caller
) -> TicketPage:
    """The caller's jobs, newest first; with the scope `admin`, everybody's. Erased ones are left out.

    Pages stay what they are while jobs arrive: a job is on one page, once.
    """
    if query.batch:
        await find_batch(services, caller, query.batch)  # whose batch it is, his jobs they are
    selection = Selection(
        caller=None if caller.may(Scope.ADMIN) or query.batch else caller.id,
        status=query.status,
        model=query.model,
        batch_id=query.batch,
        created_after=query.created_after,
        created_before=query.created_before,
    )
    found = await services.read(lambda it: jobqueries.page(it, selection, query.cursor, query.limit + 1))
    page, following = cut(response, "/v1/jobs", query, found)
    return TicketPage(jobs=await tickets.tickets(services, page), next=following)
