"""JSON that comes with a request: read within limits of size and time, then checked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from shared.errors import MalformedRequest, UploadTooLarge, UploadTooSlow

_MOST_BYTES = 16_384
_MOST_SECONDS = 10

T = TypeVar("T", bound=BaseModel)


def json_body(kind: type[T]) -> Callable[[Request], Awaitable[T]]:
    """A dependency that gives what the request says; FastAPI's own would read bodies of any size."""

    async def read(request: Request) -> T:
        data = bytearray()
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                async for chunk in request.stream():
                    data += chunk
                    if len(data) > _MOST_BYTES:
                        raise UploadTooLarge(f"At most {_MOST_BYTES:,} bytes of JSON are taken here.")
        except TimeoutError as error:
            raise UploadTooSlow from error
        except ClientDisconnect as error:
            raise MalformedRequest("The request broke off.") from error
        try:
            return kind.model_validate_json(bytes(data) or b"{}")
        except ValidationError as error:
            faults = (f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors())
            raise MalformedRequest(f"{'; '.join(faults)[:1000]}.") from error

    return read


def described(kind: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The same for the OpenAPI document."""
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)  # answers have the same, and so they are among the components
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}
