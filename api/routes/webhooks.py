"""Webhooks over HTTP: register one, look at it, give it another secret, try it, end it."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Response

from api.bodies import described, json_body
from api.refusals import refusals
from api.schemas import PINGED, REDELIVERED, REMOVED, SECRET, WEBHOOK, WEBHOOK_ID, WEBHOOK_MADE, WEBHOOKS
from api.services import Caller, Services
from api.webhooks import find_signer, find_webhook, require_address
from api.webhookviews import (
    DeliveryView,
    NewWebhook,
    Redelivered,
    Rotation,
    SigningSecret,
    TimeRange,
    Webhook,
    Webhooks,
    WebhookWithSecret,
)
from shared import endpointstore, outbox
from shared.errors import (
    MalformedRequest,
    MoveRefused,
    NamesUnavailable,
    UnknownWebhook,
    UploadTooLarge,
    UploadTooSlow,
    WebhookRefused,
)
from shared.hooks import Delivery, Endpoint, Event, new_secret, payload
from shared.jobs import Scope
from shared.outbox import Message

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

WebhookId = Annotated[str, Path(**WEBHOOK_ID)]
_MOST = 20
_OF_JSON = (MalformedRequest, UploadTooLarge, UploadTooSlow)


@router.post(
    "",
    status_code=201,
    operation_id="create_webhook",
    summary="Register a webhook",
    responses=WEBHOOK_MADE | refusals(*_OF_JSON, WebhookRefused, NamesUnavailable, MoveRefused),
    openapi_extra=described(NewWebhook),
)
async def create(
    wanted: Annotated[NewWebhook, Depends(json_body(NewWebhook))],
    response: Response,
    services: Services,
    caller: Caller,
) -> WebhookWithSecret:
    """Registers an address that is told of every job and batch of this key from now on; the answer has its secret."""
    await require_address(services, wanted.url, caller.id)

    def add(connection: sa.Connection) -> Endpoint:
        endpointstore.hold(connection, caller.id)
        there = endpointstore.of_caller(connection, caller.id)
        if same := next((one for one in there if one.url == wanted.url), None):
            raise MoveRefused(f"This key has registered this address already, as {same.id}.")
        if len(there) >= _MOST:
            raise MoveRefused(f"This key has {_MOST} webhooks; remove one first.")
        secret = wanted.secret or new_secret()
        return endpointstore.add(connection, caller.id, wanted.url, wanted.events, secret)

    made = await services.write(add)
    response.headers.update({"Location": f"/v1/webhooks/{made.id}", "Cache-Control": "no-store"})
    return WebhookWithSecret.model_validate(made, from_attributes=True)


@router.get("", operation_id="list_webhooks", summary="List webhooks", responses=WEBHOOKS)
async def list_webhooks(services: Services, caller: Caller) -> Webhooks:
    """The webhooks that this key has registered, oldest first; with the scope `admin`, everybody's."""
    whose = None if caller.may(Scope.ADMIN) else caller.id
    found = await services.read(lambda connection: endpointstore.of_caller(connection, whose))
    return Webhooks(webhooks=[Webhook.of(one) for one in found])


@router.get(
    "/{webhook_id}",
    operation_id="get_webhook",
    summary="Look at a webhook",
    responses=WEBHOOK | refusals(UnknownWebhook),
)
async def look(webhook_id: WebhookId, services: Services, caller: Caller) -> Webhook:
    """Where it leads, what it is told, and whether it is disabled."""
    return Webhook.of(await find_webhook(services, caller, webhook_id))


@router.get(
    "/{webhook_id}/secret",
    operation_id="get_webhook_secret",
    summary="Fetch a webhook's secret",
    responses=SECRET | refusals(UnknownWebhook),
)
async def secret(webhook_id: WebhookId, response: Response, services: Services, caller: Caller) -> SigningSecret:
    """What signs its messages; `default` signs those to the addresses that come with jobs."""
    response.headers["Cache-Control"] = "no-store"
    return SigningSecret.of(await find_signer(services, caller, webhook_id), datetime.now(UTC))


@router.post(
    "/{webhook_id}/rotate",
    operation_id="rotate_webhook_secret",
    summary="Replace a webhook's secret",
    responses=SECRET | refusals(*_OF_JSON, UnknownWebhook, MoveRefused),
    openapi_extra=described(Rotation, required=False),
)
async def rotate(
    webhook_id: WebhookId,
    wanted: Annotated[Rotation, Depends(json_body(Rotation))],
    response: Response,
    services: Services,
    caller: Caller,
) -> SigningSecret:
    """Gives it another secret; for a while messages are signed with both, so that the receiver can change over.

    Repeated with the same `secret` it changes nothing. While a former secret still signs, another one is 409: it would
    end the former before its time, as only `overlap_seconds=0` is meant to.
    """
    endpoint = await find_signer(services, caller, webhook_id)
    fresh = wanted.secret or new_secret()
    done = await services.write(
        partial(endpointstore.rotate, endpoint_id=endpoint.id, secret=fresh, overlap_seconds=wanted.overlap_seconds)
    )
    rotated = await find_signer(services, caller, webhook_id)
    if not done:
        raise MoveRefused(
            "The secret of an earlier rotation still signs beside the present one: GET …/secret has both, and until "
            "when. To end it now, rotate with overlap_seconds 0."
        )
    response.headers["Cache-Control"] = "no-store"
    return SigningSecret.of(rotated, datetime.now(UTC))


@router.post(
    "/{webhook_id}/disable",
    operation_id="disable_webhook",
    summary="Disable a webhook",
    responses=WEBHOOK | refusals(UnknownWebhook),
)
async def disable(webhook_id: WebhookId, services: Services, caller: Caller) -> Webhook:
    """Sends nothing there any more; what is due while it is disabled is given up, and can be sent again later."""
    endpoint = await find_webhook(services, caller, webhook_id)
    because = endpointstore.DISABLED
    await services.write(partial(endpointstore.disable, endpoint_id=endpoint.id, because=because))
    return Webhook.of(await find_webhook(services, caller, webhook_id))


@router.post(
    "/{webhook_id}/enable",
    operation_id="enable_webhook",
    summary="Enable a webhook",
    responses=WEBHOOK | refusals(UnknownWebhook),
)
async def enable(webhook_id: WebhookId, services: Services, caller: Caller) -> Webhook:
    """Tells it of what happens from now on; `redeliver` sends what was missed."""
    endpoint = await find_webhook(services, caller, webhook_id)
    await services.write(partial(endpointstore.enable, endpoint_id=endpoint.id))
    return Webhook.of(await find_webhook(services, caller, webhook_id))


@router.post(
    "/{webhook_id}/ping",
    status_code=202,
    operation_id="ping_webhook",
    summary="Try a webhook",
    responses=PINGED | refusals(UnknownWebhook, MoveRefused),
)
async def ping(webhook_id: WebhookId, response: Response, services: Services, caller: Caller) -> DeliveryView:
    """Sends a `webhook.ping`, once; the delivery says what came of it."""
    endpoint = await find_webhook(services, caller, webhook_id)
    _require_enabled(endpoint)

    def write(connection: sa.Connection) -> Delivery:
        body = payload(Event.PING, datetime.now(UTC), {"webhook_id": endpoint.id})
        message = Message(outbox.ping_id(), Event.PING, endpoint.caller, endpoint.id, str(endpoint.url), body)
        (made,) = outbox.add(connection, [message])
        return outbox.require(connection, made)

    view = DeliveryView.of(await services.write(write))
    response.headers["Location"] = view.urls.self
    return view


@router.post(
    "/{webhook_id}/redeliver",
    status_code=202,
    operation_id="redeliver_range",
    summary="Send again what a webhook was told",
    responses=REDELIVERED | refusals(*_OF_JSON, UnknownWebhook, MoveRefused),
    openapi_extra=described(TimeRange),
)
async def redeliver(
    webhook_id: WebhookId,
    wanted: Annotated[TimeRange, Depends(json_body(TimeRange))],
    services: Services,
    caller: Caller,
) -> Redelivered:
    """Sends now, under the same ids, what it was to be told within a time, delivered or not; not what was erased."""
    endpoint = await find_webhook(services, caller, webhook_id)
    _require_enabled(endpoint)
    until = wanted.until or datetime.max.replace(tzinfo=UTC)
    chosen = partial(outbox.in_range, endpoint_id=endpoint.id, since=wanted.since, until=until, state=wanted.state)
    sent, last = 0, ""
    while page := await services.read(partial(chosen, after=last)):  # in pieces: others write, too
        sent, last = sent + await services.write(partial(outbox.send_again, ids=page)), page[-1]
    return Redelivered(deliveries=sent)


@router.delete(
    "/{webhook_id}",
    status_code=204,
    operation_id="remove_webhook",
    summary="Remove a webhook",
    responses=REMOVED | refusals(UnknownWebhook),
)
async def remove(webhook_id: WebhookId, services: Services, caller: Caller) -> None:
    """Forgets it, with its secret; what waits to be sent there is given up when it is due."""
    endpoint = await find_webhook(services, caller, webhook_id)
    await services.write(partial(endpointstore.remove, endpoint_id=endpoint.id))


def _require_enabled(endpoint: Endpoint) -> None:
    if endpoint.disabled_at:
        raise MoveRefused(f"The webhook is disabled: {endpoint.disabled_because}. Enable it first.")
