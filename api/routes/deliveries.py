"""The log of deliveries over HTTP: what was told to whom, every attempt, and once more."""

from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from api import lookup
from api.paging import ID, PageQuery, cut
from api.refusals import OF_A_JOB, refusals
from api.routes.jobs import JobId
from api.schemas import DELIVERY, DELIVERY_ID, PAGE, REDELIVERED
from api.services import Caller, Services, ServiceSet
from api.webhooks import find_delivery
from api.webhookviews import DeliveryPage, DeliveryView, DeliveryWithPayload
from shared import endpointstore, outbox
from shared.errors import JobErased, MalformedRequest, MoveRefused, UnknownDelivery
from shared.hooks import DeliveryState
from shared.jobs import Scope
from shared.outbox import DeliveryFilter

router = APIRouter(prefix="/v1", tags=["webhooks"])

DeliveryId = Annotated[str, Path(**DELIVERY_ID)]


class LogQuery(PageQuery):
    """Which deliveries of a job, and how many."""

    state: DeliveryState | None = None
    webhook: str | None = Field(None, pattern=ID, description="to this webhook, also when it was removed")


class WholeLogQuery(LogQuery):
    """The same of everything that was told."""

    job: str | None = Field(None, pattern=ID, description="of this job: the id on its ticket")
    batch: str | None = Field(None, pattern=ID, description="of this batch as a whole")


@router.get(
    "/deliveries",
    operation_id="list_deliveries",
    summary="List deliveries",
    responses=PAGE | refusals(MalformedRequest),
)
async def list_deliveries(
    query: Annotated[WholeLogQuery, Query()], response: Response, services: Services, caller: Caller
) -> DeliveryPage:
    """What this key's webhooks were to be told, newest first; with the scope `admin`, everybody's."""
    whose = None if caller.may(Scope.ADMIN) else caller.id
    wanted = DeliveryFilter(caller=whose, job_id=query.job, batch_id=query.batch)
    return await _page(services, response, "/v1/deliveries", wanted, query)


@router.get(
    "/jobs/{job_id}/deliveries",
    operation_id="list_job_deliveries",
    summary="List a job's deliveries",
    responses=PAGE | refusals(MalformedRequest, *OF_A_JOB),
)
async def of_job(
    job_id: JobId, query: Annotated[LogQuery, Query()], response: Response, services: Services, caller: Caller
) -> DeliveryPage:
    """Who was told of the job's moves, and what came of it, newest first."""
    job = await lookup.find(services, caller, job_id)
    return await _page(services, response, f"/v1/jobs/{job.id}/deliveries", DeliveryFilter(job_id=job.id), query)


async def _page(
    services: ServiceSet, response: Response, here: str, wanted: DeliveryFilter, query: LogQuery
) -> DeliveryPage:
    wanted = replace(wanted, state=query.state, endpoint_id=query.webhook)
    found = await services.read(lambda it: outbox.page(it, wanted, query.cursor, query.limit + 1))
    page, following = cut(response, here, query, found)
    return DeliveryPage(deliveries=[DeliveryView.of(one) for one in page], next=following)


@router.get(
    "/deliveries/{delivery_id}",
    operation_id="get_delivery",
    summary="Look at a delivery",
    responses=DELIVERY | refusals(UnknownDelivery),
)
async def look(delivery_id: DeliveryId, response: Response, services: Services, caller: Caller) -> DeliveryWithPayload:
    """One message to one address, with what it says and every attempt."""
    response.headers["Cache-Control"] = "private, no-cache"
    return DeliveryWithPayload.of(await find_delivery(services, caller, delivery_id))


@router.post(
    "/deliveries/{delivery_id}/redeliver",
    status_code=202,
    operation_id="redeliver",
    summary="Send a delivery again",
    responses=REDELIVERED | refusals(UnknownDelivery, JobErased, MoveRefused),
)
async def redeliver(delivery_id: DeliveryId, services: Services, caller: Caller) -> DeliveryView:
    """Sends it again, now, under the same id, with all attempts before it."""
    found = await find_delivery(services, caller, delivery_id)
    if found.payload is None:
        raise JobErased("What this delivery told of has been erased.")
    if found.endpoint_id:
        endpoint = await services.read(partial(endpointstore.get, endpoint_id=found.endpoint_id))
        if endpoint is None or endpoint.disabled_at:
            raise MoveRefused("Its webhook is disabled or removed; one that is disabled can be enabled.")
    await services.write(partial(outbox.send_again, ids=[found.id]))
    return DeliveryView.of(await find_delivery(services, caller, delivery_id))
