"""The bodies of uploads for OpenAPI, with the fields beside the images."""

from typing import Any

from api.wishes import DEADLINE_MAX_SECONDS, TELLABLE
from shared.hooks import ENDS, Event

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
    "webhook_url": {
        "type": "string",
        "format": "uri",
        "maxLength": 2048,
        "description": "who is told when it ends, beside the registered webhooks: a public `https://` address",
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
    fields = {**_FIELDS, "webhook_events": _webhook_events(several=several)}
    parameters = [_query(field, schema) for field, schema in fields.items()]
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


def _webhook_events(*, several: bool) -> dict[str, Any]:
    known = [event for event in TELLABLE if several or event is not Event.BATCH_COMPLETED]
    one = f"({'|'.join(event.replace('.', '[.]') for event in known)})"
    otherwise = f"`{Event.BATCH_COMPLETED}`, once for all" if several else f"{', '.join(f'`{end}`' for end in ENDS)}"
    return {
        "type": "string",
        "pattern": f"^{one}(,{one})*$",
        "description": f"of what `webhook_url` is told, with commas between; default: {otherwise}",
        "examples": [",".join(known[-2:])],
    }


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    described = {key: value for key, value in schema.items() if key != "description"}
    # an empty field, as forms send it, says nothing
    said = {"name": name, "in": "query", "description": schema["description"], "allowEmptyValue": True}
    return {**said, "schema": described}
