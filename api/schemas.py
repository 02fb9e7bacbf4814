"""What OpenAPI cannot take from the code: ids, headers, links, answers by status.

`api.uploadschema` has the bodies of uploads; `api.openapi` adds what is the same for many routes.
"""

from typing import Any

from api.answers import Prediction, Readiness
from api.batches import BatchView
from api.tickets import Ticket

Responses = dict[int | str, dict[str, Any]]

# told, not checked: an id of another form is unknown, and that is answered as such
JOB_ID: dict[str, Any] = {
    "json_schema_extra": {"pattern": "^[A-Za-z0-9][A-Za-z0-9._~-]{0,99}$"},
    "description": "the id on the ticket, or the name that its caller gave it with PUT",
}
BATCH_ID: dict[str, Any] = {"json_schema_extra": {"pattern": "^[0-9a-f]{32}$"}, "description": "the id of the batch"}
WEBHOOK_ID: dict[str, Any] = {
    "json_schema_extra": {"pattern": "^([0-9a-f]{32}|default)$"},
    "description": "the id of the webhook",
}
DELIVERY_ID: dict[str, Any] = {"json_schema_extra": {"pattern": "^[0-9a-f]{32}$"}, "description": "the delivery's id"}

# 1 to 255 printable ASCII characters, with quotes around them or without
IDEMPOTENCY_KEY: dict[str, Any] = {
    "json_schema_extra": {
        "pattern": r'^([!-~]|[!#-~][ -~]{0,253}[!-~]|"[ -~]{0,253}[!#-~]|"[ -~]{1,255}")$',
    },
    "description": "A name for this submission, 1 to 255 printable ASCII characters: sent again with the same image "
    "and fields, it gives the same answer, with another payload 422. A UUID will do. Kept for 7 days.",
}


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def _links(**operations: str) -> dict[str, Any]:
    """Where one can go with the id in the answer."""
    return {
        operation: {"operationId": operation, "parameters": {parameter: "$response.body#/id"}}
        for operation, parameter in operations.items()
    }


_LOOKED = {"Retry-After": _header("RetryAfterWhileWaiting"), "Preference-Applied": _header("PreferenceApplied")}
_MADE = {"Location": _header("Location"), "Idempotency-Replayed": _header("IdempotencyReplayed"), **_LOOKED}
_CACHED = {"ETag": _header("ETag"), **_LOOKED}
_TICKET_LINKS = _links(
    get_job="job_id", watch_job="job_id", list_job_deliveries="job_id", cancel_job="job_id", erase_job="job_id"
)
_BATCH_LINKS = _links(
    get_batch="batch_id", get_batch_results="batch_id", cancel_batch="batch_id", erase_batch="batch_id"
)
_WEBHOOK_LINKS = _links(
    get_webhook="webhook_id",
    ping_webhook="webhook_id",
    disable_webhook="webhook_id",
    remove_webhook="webhook_id",
)

ACCEPTED: Responses = {
    202: {
        "description": "Accepted: the job is durable and will end, once",
        "headers": _MADE,
        "links": _TICKET_LINKS,
    },
    200: {
        "model": Ticket,
        "description": "It has ended: within the wait that `Prefer` asked for, or after an earlier request",
        "headers": _MADE,
        "links": _TICKET_LINKS,
    },
}
TICKET: Responses = {
    200: {
        "model": Ticket,
        "description": "The ticket as it stands",
        "headers": _CACHED,
    },
    304: {"description": "`If-None-Match` names the ticket as it stands", "headers": _CACHED},
}
CANCELED: Responses = {200: {"description": "Canceled"}}
RETRIED: Responses = {
    202: {
        "description": "It stands in the line again",
        "headers": {"Location": _header("Location"), "Retry-After": _header("RetryAfterWhileWaiting")},
    }
}
PAGE: Responses = {
    200: {
        "description": "A page",
        "headers": {"Link": _header("Link")},
    }
}
BATCH_ACCEPTED: Responses = {
    202: {
        "description": "Accepted: the jobs are durable and will end, once each",
        "headers": {
            "Location": _header("Location"),
            "Idempotency-Replayed": _header("IdempotencyReplayed"),
            "Retry-After": _header("RetryAfterWhileWaiting"),
        },
        "links": _BATCH_LINKS,
    }
}
BATCH: Responses = {
    200: {
        "model": BatchView,
        "description": "The batch as it stands",
        "headers": {"Retry-After": _header("RetryAfterWhileWaiting")},
    }
}
BATCH_RESULTS: Responses = {200: {"description": "A row for each file"}}
CSV: Responses = {
    200: {
        "description": "A row for each file, a column `p:` for each class (RFC 4180)",
        "headers": {"Content-Disposition": {"schema": {"type": "string"}, "description": "a name for the file"}},
        "content": {"text/csv": {"schema": {"type": "string"}}},
    }
}
ERASED: Responses = {204: {"description": "Erased"}}
EVENTS: Responses = {
    200: {
        "description": "Events until the job has ended",
        # no type: generators take the whole stream for it, others a single event
        "content": {"text/event-stream": {"schema": {"description": "server-sent events, as the route says"}}},
    },
    204: {"description": "`Last-Event-ID` names the job's end: there is nothing more to hear"},
}
PREDICTED: Responses = {
    200: {
        "model": Prediction,
        "description": "The prediction",
        "headers": {"Location": _header("Location")},
    }
}
MODELS: Responses = {200: {"description": "One model so far"}}
ALIVE: Responses = {200: {"description": "It serves requests"}}
READY: Responses = {
    200: {"model": Readiness, "description": "Everything answers"},
    503: {
        "model": Readiness,
        "description": "Something does not answer; uploads may still be taken",
    },
}
WEBHOOK_MADE: Responses = {
    201: {
        "description": "Registered; `secret` signs what it is told",
        "headers": {"Location": _header("Location")},
        "links": _WEBHOOK_LINKS,
    }
}
WEBHOOKS: Responses = {200: {"description": "All of them"}}
WEBHOOK: Responses = {200: {"description": "The webhook as it stands"}}
SECRET: Responses = {200: {"description": "The secret; and the former one, while it signs, too"}}
PINGED: Responses = {
    202: {
        "description": "It is sent now",
        "headers": {"Location": _header("Location")},
        "links": _links(get_delivery="delivery_id"),
    }
}
REMOVED: Responses = {204: {"description": "Removed"}}
REDELIVERED: Responses = {202: {"description": "Sent now"}}
DELIVERY: Responses = {200: {"description": "The delivery as it stands"}}
METRICS: Responses = {
    200: {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}},
}
