"""The OpenAPI document: what FastAPI reads off the routes, and what is the same for all of them."""

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.guard import needed_scope
from api.problems import MEDIA_TYPE
from api.refusals import Problem, refusals
from shared import errors

Document = dict[str, Any]

_EXAMPLES = Path(__file__).with_name("examples.json")  # answers of a real service
_OPEN = {"/livez", "/readyz"}
_KEYS = ("ApiKey", "Bearer")
_DESCRIPTION = """\
Send an image, get a ticket, come back with the ticket for the answer.

`POST /v1/jobs` answers 202 with a ticket once the image is safe; from then on the job ends, once, as `succeeded`,
`failed` or `canceled`. Its ticket is polled (`GET`, with `Prefer: wait=N` for a long poll) or watched
(`text/event-stream`), or its end is told to an address of yours (`webhook_url`, and the routes of `webhooks`; signed as
Standard Webhooks 1.0.0 asks). A submission that broke off is sent again under the same `Idempotency-Key`, or the same
id with `PUT`, and gets the same job.

**Keys.** Every route but `/livez` and `/readyz` needs a key, as `X-API-Key` or `Authorization: Bearer`; the scope it
must have stands at the route, and `admin` is all of them. A service without any key answers on its own machine alone.
Jobs of other keys are unknown to a key without `admin`.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`; each route lists those it may answer with.
Whatever the route, an unknown address is 404 `unknown-route`, a method that it does not take 405 `method-refused`.
429 and 503 come with `Retry-After`. `X-Request-ID` finds a request in the service's log.
"""
_TAGS = [
    {"name": "jobs", "description": "One image, one ticket."},
    {"name": "batches", "description": "Many images in one request, with one progress and one table of results."},
    {"name": "webhooks", "description": "Who is told when jobs end, signed and retried for three days; and the log."},
    {"name": "predict", "description": "The blocking contract of older clients, served through the same line."},
    {"name": "operation", "description": "What is served, and whether it is well."},
]
_SCHEMES = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
}


def _header(kind: str, description: str, **more: Any) -> dict[str, Any]:
    required = {"required": True} if more.pop("required", False) else {}
    return {"description": description, **required, "schema": {"type": kind, **more}}


_HEADERS = {
    "RequestID": _header("string", "finds the request in the service's log", required=True, pattern="^[0-9a-f]{32}$"),
    "RateLimit": _header(
        "string", 'what is left of each limit: `"rate";r=59;t=60` is 59 requests within 60 s; absent without limits'
    ),
    "RateLimitPolicy": _header("string", 'the limits: `"rate";q=60;w=60, "images";q=1000;w=86400`'),
    "RetryAfter": _header("integer", "seconds after which to try again", required=True, minimum=1),
    "RetryAfterWhileWaiting": _header(
        "integer", "seconds after which to look again; absent once it has ended", minimum=1
    ),
    "Location": _header("string", "where it is found", required=True),
    "PreferenceApplied": _header("string", "what was heeded of `Prefer`"),
    "IdempotencyReplayed": _header("string", "an earlier request had made it", enum=["true"]),
    "ETag": _header("string", "changes whenever the ticket does", required=True),
    "Link": _header("string", 'the next page: `</v1/jobs?cursor=…>; rel="next"`; absent on the last'),
    "WWWAuthenticate": _header("string", "how to say who asks", required=True),
}


def install(app: FastAPI) -> None:
    """Has the application serve this document."""

    def document() -> Document:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> Document:
    found: Document = get_openapi(
        title=app.title,
        version=app.version,
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/", "description": "where this document was read"}],
        tags=_TAGS,
        routes=app.routes,
    )
    components = found["components"]
    schemas = {name: schema for name, schema in components["schemas"].items() if "ValidationError" not in name}
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas["Problem"].pop("$defs")
    components |= {"schemas": dict(sorted(schemas.items())), "securitySchemes": _SCHEMES, "headers": _HEADERS}
    examples = json.loads(_EXAMPLES.read_text(encoding="utf-8"))
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _complete(operation, method, path, examples.get(operation["operationId"], {}))
    return found


def _complete(operation: Document, method: str, path: str, examples: Document) -> None:
    """Adds to one operation what its route does not say: who may, how that is refused, examples, common headers."""
    responses: Document = operation["responses"]
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]  # FastAPI's own; ours are problems
    common: list[type[errors.TurnoError]] = [errors.HostRefused, errors.TurnoError]
    operation["security"] = []
    if path not in _OPEN:
        scope = needed_scope(method.upper(), path)
        operation["security"] = [{scheme: [str(scope)] if scope else []} for scheme in _KEYS]
        said = f"Needs a key with the scope `{scope}`." if scope else "Needs a key, whatever its scopes."
        operation["description"] = f"{operation['description']}\n\n{said}"
        common += [errors.Unauthorized, errors.RateExceeded, errors.StoreUnavailable]
        common += [errors.ScopeMissing] if scope else []
    for status, refusal in refusals(*common).items():
        problems = responses.setdefault(str(status), refusal).setdefault("content", {}).setdefault(MEDIA_TYPE, {})
        refused = refusal["content"][MEDIA_TYPE]
        problems["schema"] = refused["schema"]
        problems["examples"] = {**problems.get("examples", {}), **refused["examples"]}
    operation["parameters"] = [_plain(parameter) for parameter in operation.get("parameters", ())]
    for status, given in examples.items():
        (kind,) = set(responses[status]["content"]) - {MEDIA_TYPE}
        responses[status]["content"][kind]["examples"] = {name: {"value": value} for name, value in given.items()}
    headers = ["RequestID:X-Request-ID"]
    headers += ["RateLimit:RateLimit", "RateLimitPolicy:RateLimit-Policy"] if path not in _OPEN else []
    for response in responses.values():
        for component, _, name in (header.partition(":") for header in headers):
            response.setdefault("headers", {})[name] = {"$ref": f"#/components/headers/{component}"}
    operation["responses"] = dict(sorted(responses.items()))


def _plain(parameter: Document) -> Document:
    """A parameter that may be left out, without saying that it may be null: nothing in a URL or header is."""
    if "schema" not in parameter:
        return parameter
    schema = {key: value for key, value in parameter["schema"].items() if key not in ("title", "description")}
    options = [one for one in schema.pop("anyOf", [{}]) if one != {"type": "null"}]
    schema |= options[0]
    if parameter["in"] != "header":
        return {**parameter, "schema": schema}
    if schema.get("type") == "array":  # a header that may come several times is one with commas
        schema = {"type": "string"}
    return {**parameter, "name": parameter["name"].title(), "schema": schema}
