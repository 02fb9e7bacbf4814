"""Webhooks and deliveries by their owner: where one may lead, and which are a caller's."""

from api.lookup import ID, is_for
from api.services import ServiceSet
from shared import endpointstore, netguard, outbox
from shared.errors import UnknownDelivery, UnknownWebhook
from shared.hooks import Delivery, Endpoint
from shared.jobs import ApiKey

DEFAULT = "default"


async def require_address(services: ServiceSet, url: str, caller: str) -> None:
    """Looks where this address leads, now; it is looked at again whenever something is sent there.

    Args:
        caller: who gave it: names of one caller that hang leave threads for those of others.

    Raises:
        WebhookRefused, NamesUnavailable
    """
    await services.lookups.addresses(netguard.parse(url, services.networks), caller)


async def find_webhook(services: ServiceSet, caller: ApiKey, webhook_id: str) -> Endpoint:
    """The caller's registered webhook.

    Raises:
        UnknownWebhook
    """
    if not ID.fullmatch(webhook_id):
        raise UnknownWebhook
    found = await services.read(lambda connection: endpointstore.get(connection, webhook_id))
    if found is None or found.url is None or not is_for(caller, found.caller):
        raise UnknownWebhook
    return found


async def find_signer(services: ServiceSet, caller: ApiKey, webhook_id: str) -> Endpoint:
    """The same, and by the name `default` what signs for the addresses that come with the caller's jobs.

    Raises:
        UnknownWebhook
    """
    if webhook_id == DEFAULT:
        return await services.write(lambda connection: endpointstore.default_of(connection, caller.id))
    return await find_webhook(services, caller, webhook_id)


async def find_delivery(services: ServiceSet, caller: ApiKey, delivery_id: str) -> Delivery:
    """The caller's delivery.

    Raises:
        UnknownDelivery
    """
    if not ID.fullmatch(delivery_id):
        raise UnknownDelivery
    found = await services.read(lambda connection: outbox.get(connection, delivery_id))
    if found is None or not is_for(caller, found.caller):
        raise UnknownDelivery
    return found
