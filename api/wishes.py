"""What a caller may ask for with an image: the fields of the form, or of the query beside a raw body."""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from api.forms import FIELD_MAX_BYTES
from shared.errors import MalformedRequest
from shared.hooks import Event
from shared.jobs import Keep, Priority

DEADLINE_MAX_SECONDS = 604_800
TELLABLE = [event for event in Event if event is not Event.PING]
# came after the first fingerprints: where they say nothing, those must not change
_LATER_FIELDS = ("webhook_url", "webhook_events")
_DEPTH_MAX = 20  # what is nested deeper is no metadata, and JSON writers give up on it


def _priority(value: Any) -> Any:
    names = {priority.name.lower(): priority for priority in Priority}
    if value not in names:
        raise ValueError("must be interactive or batch")
    return names[value]


def _metadata(value: Any) -> Any:
    try:
        found = json.loads(value)
        # as it is going to be stored and sent: without NaN, and without half a surrogate pair
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
        depth = _depth(found)
    except (ValueError, RecursionError) as error:
        raise ValueError("must be JSON") from error
    if not isinstance(found, dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004 - of the kind that pydantic makes a sentence of
    if depth > _DEPTH_MAX:
        raise ValueError(f"must not be nested deeper than {_DEPTH_MAX} levels")
    return found


def _events(value: Any) -> Any:
    names = [name.strip() for name in str(value).split(",")]
    if unknown := set(names) - set(TELLABLE):
        raise ValueError(f"must be some of {', '.join(TELLABLE)}, with commas between: not {min(unknown)[:50]!r}")
    return tuple(event for event in TELLABLE if event in names)


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


class Wishes(BaseModel):
    """The fields beside an image; what is not said is as the deployment has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str | None = Field(None, max_length=100, description="the model to ask; there is one so far")
    priority: Annotated[Priority, BeforeValidator(_priority)] = Priority.INTERACTIVE
    deadline_seconds: int | None = Field(None, ge=1, le=DEADLINE_MAX_SECONDS)
    metadata: Annotated[dict[str, Any] | None, BeforeValidator(_metadata)] = None
    keep: Keep | None = None
    webhook_url: str | None = None
    webhook_events: Annotated[tuple[Event, ...] | None, BeforeValidator(_events)] = None

    def told(self, otherwise: Sequence[Event]) -> str | None:
        """Of what the caller is to be told at their address, comma-separated; None without one."""
        return ",".join(self.webhook_events or otherwise) if self.webhook_url else None

    def kept(self, otherwise: Keep) -> Keep:
        """What is to be kept, where the caller says so, else what the deployment keeps."""
        return self.keep or otherwise

    def fingerprint(self, files_sha256: str, client_id: str | None = None) -> str:
        """What tells this payload from another: the same files with the same wishes give the same."""
        said = self.model_dump(mode="json", exclude={"model"})  # of the served one, named or not
        for name in _LATER_FIELDS:
            if said[name] is None:
                del said[name]
        wishes = json.dumps([files_sha256, client_id, said], sort_keys=True)
        return hashlib.sha256(wishes.encode()).hexdigest()


def read_wishes(fields: dict[str, str], *, strict: bool) -> Wishes:
    """The wishes in a request's fields; an empty field, as forms send it, says nothing.

    Args:
        strict: refuse fields that this service does not know, rather than ignore what they ask for.

    Raises:
        MalformedRequest: names each field that cannot be used.
    """
    said = {name: value for name, value in fields.items() if value != ""}
    if not strict:
        said = {name: value for name, value in said.items() if name in Wishes.model_fields}
    elif unknown := said.keys() - Wishes.model_fields.keys():
        raise MalformedRequest(f"Unknown fields: {', '.join(sorted(unknown))[:200]}.")
    if len(said.get("metadata", "")) > FIELD_MAX_BYTES:
        raise MalformedRequest(f"metadata: must not have more than {FIELD_MAX_BYTES} characters")
    if "webhook_events" in said and "webhook_url" not in said:
        raise MalformedRequest("webhook_events: says of what to tell, but webhook_url does not say whom")
    try:
        return Wishes.model_validate(said)
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise MalformedRequest(f"{faults}.") from error
