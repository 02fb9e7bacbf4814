"""Webhooks: what is told, to whom, how it is signed, and when it is tried again.

Signed as Standard Webhooks 1.0.0 asks: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
Nothing here knows SQL or HTTP: `shared.outbox` keeps deliveries, `worker.delivery` sends them.
"""

import base64
import random
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic_core import to_json
from standardwebhooks import Webhook

_PREFIX = "whsec_"
_SECRET_BYTES = 32
_SECRET_MIN_BYTES, _SECRET_MAX_BYTES = 24, 64  # as the standard asks
_PAYLOAD_MAX_BYTES = 20_000
# what goes, in this order, from a payload that would be larger; the ticket has it
_SHED = (("result", "predictions"), ("result", "probabilities"), ("metadata",), ("result",))

# pauses before each attempt, as the standard has them: 75 h 35 min in all
SCHEDULE_SECONDS = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
_JITTER = 0.1  # of a pause, and never more than a minute: what failed together is not tried together
_JITTER_MAX_SECONDS = 60
_RETRY_AFTER_MAX_SECONDS = 86_400


class Event(StrEnum):
    """What a webhook may tell."""

    JOB_STARTED = "job.started"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    BATCH_COMPLETED = "batch.completed"
    PING = "webhook.ping"  # a test, at its owner's word


ENDS = (Event.JOB_SUCCEEDED, Event.JOB_FAILED, Event.JOB_CANCELED)


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"  # is, or will be, tried
    SUCCEEDED = "succeeded"  # answered 2xx
    FAILED = "failed"  # given up; may be sent again


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registered webhook; or, without an address, what signs the deliveries to the addresses of a caller's jobs."""

    id: str
    caller: str
    url: str | None
    events: tuple[Event, ...]
    secret: str
    former_secret: str | None  # the one before the last rotation,
    former_until: datetime | None  # which signs, too, until then
    created_at: datetime
    disabled_at: datetime | None = None
    disabled_because: str | None = None

    def secrets(self, now: datetime) -> list[str]:
        """What signs at this moment, the newest first."""
        if self.former_secret and self.former_until and now < self.former_until:
            return [self.secret, self.former_secret]
        return [self.secret]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver, and what came of it."""

    at: datetime
    latency_ms: float
    status: int | None  # None: no answer
    error: str | None = None  # why it does not count as delivered
    excerpt: str | None = None  # how the answer's body began
    retry_after_seconds: float | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it was answered with 2xx."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one address."""

    id: str
    message_id: str  # the header webhook-id: the same for every attempt, and for every address
    event: Event
    caller: str
    endpoint_id: str | None  # None: the address came with the job
    job_id: str | None
    batch_id: str | None
    url: str
    destination: str  # the server that its caller's address names: what is slow or dead together
    state: DeliveryState
    created_at: datetime
    next_attempt_at: datetime | None
    tries: int  # since it was made, or sent again
    attempts: list[Attempt]
    given_up_because: str | None  # when it was not the last attempt that ended it
    payload: str | None  # None: what it told of has been erased


def new_secret() -> str:
    """A signing secret that nobody can guess."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def check_secret(secret: str) -> str:
    """A signing secret that somebody brings along.

    Raises:
        ValueError: it is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(_PREFIX) or not _SECRET_MIN_BYTES <= len(key) <= _SECRET_MAX_BYTES:
        raise ValueError(f"must be {_PREFIX} and then {_SECRET_MIN_BYTES} to {_SECRET_MAX_BYTES} bytes in base64")
    return secret


def payload(event: Event, at: datetime, data: dict[str, Any]) -> str:
    """The body of a message, below 20 kB: what is left out of `data` for that is named in its `omitted`."""
    data, omitted = dict(data), []
    for path in (None, *_SHED):
        if path is not None:
            *outer, name = path
            holder = data
            for step in outer:
                inner = dict(holder.get(step) or {})
                if inner:
                    holder[step] = inner
                holder = inner
            if holder.get(name) is None:
                continue
            holder[name] = None
            omitted.append(".".join(path))
            data["omitted"] = omitted
        body = to_json({"type": event, "timestamp": at, "data": data})
        if len(body) < _PAYLOAD_MAX_BYTES:
            break
    return body.decode()


def erased_payload(delivery: Delivery) -> str:
    """What is left to say when that of which a delivery tells has been erased."""
    data = {"id": delivery.job_id or delivery.batch_id, "erased": True}
    return to_json({"type": delivery.event, "timestamp": delivery.created_at, "data": data}).decode()


def signed_headers(message_id: str, body: str, at: datetime, signing: list[str]) -> dict[str, str]:
    """The three headers of the standard.

    Args:
        at: when this attempt is made, in UTC: the library that signs takes no other.
        signing: the secrets; several while one is being replaced.
    """
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, at, body) for secret in signing),
    }


def pause_seconds(tries: int, retry_after_seconds: float | None = None) -> float | None:
    """How long to wait after so many tries in vain; None when there were enough.

    Args:
        retry_after_seconds: what the receiver asked for: it is not asked earlier, within a day.
    """
    if tries >= len(SCHEDULE_SECONDS):
        return None
    planned = SCHEDULE_SECONDS[tries]
    asked = min(retry_after_seconds or 0, _RETRY_AFTER_MAX_SECONDS)
    jitter = random.uniform(0, min(planned * _JITTER, _JITTER_MAX_SECONDS))  # noqa: S311 - nothing is secret about it
    return max(planned, asked) + jitter
