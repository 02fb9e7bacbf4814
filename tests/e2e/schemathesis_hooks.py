"""What schemathesis cannot take from the OpenAPI document; `schemathesis.toml` names this file."""

import itertools
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis.transport.serialization import Binary

from tests.photos import encoded, jpeg

_PROBLEM = "application/problem+json"
_OF_EVERY_ADDRESS = {"unknown-route", "method-refused"}
_RUN = uuid.uuid4().hex[:8]  # a service may have seen another run
_numbers = itertools.count()

# no schema says what a PNG is, and random bytes are refused
_IMAGES = [jpeg(), encoded(Image.new("L", (40, 40)), "PNG")]
schemathesis.openapi.format("binary", st.sampled_from(_IMAGES).map(Binary))

# nor which addresses a service sends to; this one, on which nobody listens, with WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8
_ADDRESS = "http://127.0.0.1:9/hook"
schemathesis.openapi.format("uri", st.just(_ADDRESS))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Gives each good submission a key and an id of its own: with another image the same is refused, and should be.

    And who is told of something needs an address, which no schema of a query can say.
    """
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if (case.query or {}).get("webhook_events"):
        case.query["webhook_url"] = _ADDRESS
    if key := (case.headers or {}).get("Idempotency-Key"):
        case.headers["Idempotency-Key"] = (
            f'"{_own(key[1:-1])}"' if len(key) > 2 and key[0] == '"' == key[-1] else _own(key)
        )
    if case.operation.definition.raw["operationId"] == "put_job":
        case.path_parameters["job_id"] = _own(case.path_parameters["job_id"], most_characters=100)


@schemathesis.check
def problem_is_documented(ctx: Any, response: Any, case: Any) -> None:
    """Each problem's code stands at its route, under its status."""
    if response.headers.get("content-type") != [_PROBLEM]:
        return
    code, status = response.json()["code"], str(response.status_code)
    documented = case.operation.definition.raw["responses"].get(status, {}).get("content", {})
    codes = documented.get(_PROBLEM, {}).get("examples", {})
    assert code in codes or code in _OF_EVERY_ADDRESS, f"{status} {code} does not stand in the document"


def _own(value: str, most_characters: int = 255) -> str:
    return f"{_RUN}{next(_numbers)}-{value}"[:most_characters]
