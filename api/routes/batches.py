"""Batches over HTTP: submit many images, look at their progress, fetch their results, withdraw or erase them all."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api import batches
from api.batches import BatchView
from api.lookup import find_batch
from api.refusals import OF_A_BATCH, OF_IMAGES, refusals
from api.results import BatchResults, as_csv, results_of
from api.routes.submissions import IdempotencyKey
from api.schemas import BATCH, BATCH_ACCEPTED, BATCH_ID, BATCH_RESULTS, CSV, ERASED
from api.services import Caller, Services, ServiceSet
from api.threads import in_thread
from api.uploadschema import upload
from shared import batchstore
from shared.jobs import Queued

router = APIRouter(prefix="/v1/batches", tags=["batches"])
BatchId = Annotated[str, Path(**BATCH_ID)]


@router.post(
    "",
    status_code=202,
    operation_id="create_batch",
    summary="Submit many images",
    responses=BATCH_ACCEPTED | refusals(*OF_IMAGES),
    openapi_extra=upload(several=True),
)
async def create(
    request: Request, response: Response, services: Services, caller: Caller, idempotency_key: IdempotencyKey = None
) -> BatchView:
    """Accepts many images at once: each good one becomes a job, each bad one is refused by name; fields come first."""
    batch, replayed = await batches.submit_batch(request, services, caller)
    view = await batches.view(services, batch)
    response.headers.update({"Location": view.urls.self} | view.retry_after())
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return view


@router.get("/{batch_id}", operation_id="get_batch", summary="Look at a batch", responses=BATCH | refusals(*OF_A_BATCH))
async def look(batch_id: BatchId, response: Response, services: Services, caller: Caller) -> BatchView:
    """How far a batch is, and which of its files became which job."""
    view = await batches.view(services, await find_batch(services, caller, batch_id))
    response.headers.update({"Cache-Control": "private, no-cache"} | view.retry_after())
    return view


@router.get(
    "/{batch_id}/results",
    operation_id="get_batch_results",
    summary="Fetch a batch's results",
    responses=BATCH_RESULTS | refusals(*OF_A_BATCH),
)
async def results(batch_id: BatchId, services: Services, caller: Caller) -> BatchResults:
    """What became of each file so far, in the order in which they were sent."""
    return await results_of(services, await find_batch(services, caller, batch_id))


@router.get(
    "/{batch_id}/results.csv",
    response_class=Response,
    operation_id="get_batch_results_csv",
    summary="Fetch a batch's results as CSV",
    responses=CSV | refusals(*OF_A_BATCH),
)
async def results_csv(batch_id: BatchId, services: Services, caller: Caller) -> Response:
    """The same for a spreadsheet, with a column for each class."""
    found = await results_of(services, await find_batch(services, caller, batch_id))
    headers = {"Content-Disposition": f'attachment; filename="turno-{batch_id}.csv"'}
    return Response(as_csv(found.results), headers=headers, media_type="text/csv; charset=utf-8")


@router.post(
    "/{batch_id}/cancel",
    operation_id="cancel_batch",
    summary="Withdraw a batch",
    responses=BATCH | refusals(*OF_A_BATCH),
)
async def cancel(batch_id: BatchId, services: Services, caller: Caller) -> BatchView:
    """Withdraws every job of the batch that has not ended; those that have stay as they are."""
    batch = await find_batch(services, caller, batch_id)
    await _withdraw(services, partial(batchstore.cancel, batch_id=batch.id))
    return await batches.view(services, batch)


@router.delete(
    "/{batch_id}",
    status_code=204,
    operation_id="erase_batch",
    summary="Erase a batch",
    responses=ERASED | refusals(*OF_A_BATCH),
)
async def erase(batch_id: BatchId, services: Services, caller: Caller) -> None:
    """Erases every image and result of the batch, canceling what has not ended; its id answers 410 from then on."""
    batch = await find_batch(services, caller, batch_id)
    await _withdraw(services, partial(batchstore.erase, batch_id=batch.id))


async def _withdraw(services: ServiceSet, move: "partial[list[Queued]]") -> None:
    if gone := await services.write(move):
        await in_thread(services.line.leave, gone)
        await services.waiting.announce([job.id for job in gone])
