"""Webhooks and deliveries as HTTP takes and shows them."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.moments import Moment
from api.wishes import TELLABLE
from shared.hooks import ENDS, Delivery, DeliveryState, Endpoint, Event, check_secret

_OVERLAP_SECONDS = 86_400
_OVERLAP_MAX_SECONDS = 30 * 86_400

# 24 to 64 bytes in base64; told, and checked in words by `check_secret`
_WHSEC_PATTERN = "^whsec_(([A-Za-z0-9+/]{4}){8,21}([A-Za-z0-9+/]{2}==)?|([A-Za-z0-9+/]{4}){8,20}[A-Za-z0-9+/]{3}=)$"


def _tellable(events: list[Event]) -> list[Event]:
    if Event.PING in events:
        raise ValueError("webhook.ping is sent by …/ping, to every webhook")
    return [event for event in TELLABLE if event in events]


Tellable = Annotated[Event, Field(json_schema_extra={"enum": list(TELLABLE)})]
Events = Annotated[list[Tellable], Field(min_length=1), AfterValidator(_tellable)]
Secret = Annotated[str, AfterValidator(check_secret), Field(json_schema_extra={"pattern": _WHSEC_PATTERN})]
Url = Annotated[str, Field(json_schema_extra={"format": "uri", "maxLength": 2048})]


class NewWebhook(BaseModel):
    """A webhook to be registered."""

    model_config = ConfigDict(extra="forbid")

    url: Url = Field(description="a public `https://` address")
    events: Events = [*ENDS, Event.BATCH_COMPLETED]
    secret: Secret | None = Field(None, description="one that the receiver has already; else one is made")


class Rotation(BaseModel):
    """Another secret for a webhook."""

    model_config = ConfigDict(extra="forbid")

    secret: Secret | None = Field(None, description="one that the receiver has already; else one is made")
    overlap_seconds: float = Field(
        _OVERLAP_SECONDS,
        strict=True,
        ge=0,
        le=_OVERLAP_MAX_SECONDS,
        description="for so long the old secret signs, too",
    )


class TimeRange(BaseModel):
    """What was to be told within a time."""

    model_config = ConfigDict(extra="forbid")

    since: Moment
    until: Moment | None = Field(None, description="now, if not said")
    state: DeliveryState | None = Field(None, description="only those that stand there; else all")


class Webhook(BaseModel):
    """A registered webhook."""

    id: str
    caller: str = Field(description="the id of the key that registered it, of whose jobs it is told")
    url: str
    events: list[Event]
    created_at: datetime
    disabled_at: datetime | None
    disabled_because: str | None

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """The view of one."""
        return cls.model_validate(endpoint, from_attributes=True)


class Webhooks(BaseModel):
    """Registered webhooks, oldest first."""

    webhooks: list[Webhook]


class SigningSecret(BaseModel):
    """What signs the messages to a webhook."""

    secret: str
    former_secret: str | None = Field(description="signs, too, for now")
    former_until: datetime | None

    @classmethod
    def of(cls, endpoint: Endpoint, now: datetime) -> Self:
        """The secrets of one, as of now."""
        replaced = len(endpoint.secrets(now)) > 1
        return cls(
            secret=endpoint.secret,
            former_secret=endpoint.former_secret if replaced else None,
            former_until=endpoint.former_until if replaced else None,
        )


class WebhookWithSecret(Webhook):
    """A webhook just registered, with its secret."""

    secret: str


class AttemptView(BaseModel):
    """One try to deliver."""

    at: datetime
    status: int | None = Field(description="as answered; null without an answer")
    latency_ms: float
    error: str | None = Field(description="why it does not count as delivered")
    excerpt: str | None = Field(description="how the answer's body began")


class DeliveryUrls(BaseModel):
    """Where the delivery's other routes are."""

    self: str
    redeliver: str


class DeliveryView(BaseModel):
    """A message to one address, with every attempt to deliver it."""

    id: str
    message_id: str = Field(description="the header `webhook-id`: the same for every attempt")
    event: Event
    state: DeliveryState
    webhook_id: str | None = Field(description="the registered webhook; null for an address that came with a job")
    job_id: str | None
    batch_id: str | None
    url: str
    created_at: datetime
    next_attempt_at: datetime | None
    given_up_because: str | None = Field(description="when it was not the last attempt that ended it")
    attempts: list[AttemptView]
    urls: DeliveryUrls

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """The view of one."""
        here = f"/v1/deliveries/{delivery.id}"
        plain = {name: getattr(delivery, name) for name in cls.model_fields if hasattr(delivery, name)}
        plain["attempts"] = [AttemptView.model_validate(one, from_attributes=True) for one in delivery.attempts]
        urls = DeliveryUrls(self=here, redeliver=f"{here}/redeliver")
        return cls(**plain, webhook_id=delivery.endpoint_id, urls=urls)


class DeliveryWithPayload(DeliveryView):
    """The same, with what it says."""

    payload: str | None = Field(description="the body as it is sent; null when what it told of has been erased")


class DeliveryPage(BaseModel):
    """Some deliveries, newest first, and where the older ones are."""

    deliveries: list[DeliveryView]
    next: str | None = Field(description="the next page; null on the last")


class Redelivered(BaseModel):
    """What is sent again."""

    deliveries: int = Field(description="how many")
