"""What OpenAPI cannot take from the code: upload bodies, the fields beside them, headers, links, answers by status.

`api.openapi` adds what is the same for many routes.
"""

from typing import Any

from api.answers import Prediction, Readiness
from api.batches import BatchView
from api.tickets import Ticket
from api.wishes import DEADLINE_MAX_SECONDS

Responses = dict[int | str, dict[str, Any]]

# told, not checked: an id of another form is unknown, and that is answered as such
JOB_ID: dict[str, Any] = {
    "json_schema_extra": {"pattern": "^[A-Za-z0-9][A-Za-z0-9._~-]{0,99}$"},
    "description": "the id on the ticket, or the name that its caller gave it with PUT",
}
BATCH_ID: dict[str, Any] = {"json_schema_extra": {"pattern": "^[0-9a-f]{32}$"}, "description": "the id of the batch"}

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
_TICKET_LINKS = _links(get_job="job_id", watch_job="job_id", cancel_job="job_id", erase_job="job_id")
_BATCH_LINKS = _links(
    get_batch="batch_id", get_batch_results="batch_id", cancel_batch="batch_id", erase_batch="batch_id"
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
TICKET_PAGE: Responses = {
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
METRICS: Responses = {
    200: {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}},
}

_FIELDS: dict[str, dict[str, Any]] = {
    "model": {"type": "string", "maxLength": 100, "description": "the model to ask; there is one so far"},
    "priority": {
        "$ref": "#/components/schemas/Priority",
        "description": "`interactive`, the default, stands before `batch` in the line",
    },
    "deadline_seconds": {
        "type": "integer",
        "minimum": 1,
        "maximum": DEADLINE_MAX_SECONDS,
        "description": "unless a worker has it by then, it fails as `deadline-exceeded`",
    },
    "keep": {
        "$ref": "#/components/schemas/Keep",
        "description": "what is kept: `full`, image and result; `result`, the image goes at the end and its EXIF and "
        "GPS at once; `nothing`, the result goes an hour after the end, too. Default: as the deployment says",
    },
}
_IMAGE = {"type": "string", "format": "binary", "description": "a PNG or JPEG image"}
_KINDS = ("image/jpeg", "image/png")


def upload(*, several: bool = False, strict: bool = True) -> dict[str, Any]:
    """The body of an upload and the fields in its query: one image as form or as it is, or a form with several.

    Each field is told in one place, though form and query take all of them: what is said in both is refused.

    Args:
        strict: whether unknown fields are refused.
    """
    name = "files" if several else "file"
    form: dict[str, Any] = {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "items": _IMAGE, "minItems": 1} if several else _IMAGE},
    }
    if strict:
        form["additionalProperties"] = False
    encoding = {name: {"contentType": ", ".join(_KINDS)}}
    content: dict[str, Any] = {"multipart/form-data": {"schema": form, "encoding": encoding}}
    parameters = [_query(field, schema) for field, schema in _FIELDS.items()]
    if several:  # of a batch, form fields would have to come before the files, and generated clients know no order
        parameters.append(_METADATA_IN_QUERY)
    else:  # few generators write JSON into a query
        form["properties"]["metadata"] = _METADATA
        content |= {kind: {"schema": _IMAGE} for kind in _KINDS}
        parameters.append(_FILENAME)
    return {"parameters": parameters, "requestBody": {"required": True, "content": content}}


_FILENAME = {
    "name": "Content-Disposition",
    "in": "header",
    "description": "the filename of an image that is the whole body",
    "schema": {"type": "string"},
    "example": 'attachment; filename="leaf.jpg"',
}


_METADATA = {
    "type": "object",
    "description": "a JSON object of at most 4,096 characters and 20 levels, given back on the ticket; "
    "beside an image that is the whole body it goes into the query",
    "examples": [{"plot": "7b"}],
}
_METADATA_IN_QUERY = {
    "name": "metadata",
    "in": "query",
    "description": "a JSON object of at most 4,096 characters and 20 levels, given back on each ticket",
    "content": {"application/json": {"schema": {"type": "object"}, "example": {"plot": "7b"}}},
}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    described = {key: value for key, value in schema.items() if key != "description"}
    # an empty field, as forms send it, says nothing
    said = {"name": name, "in": "query", "description": schema["description"], "allowEmptyValue": True}
    return {**said, "schema": described}
