"""Routes that read their request by themselves: FastAPI tells OpenAPI of them, and stands aside when they are asked."""

from collections.abc import Callable
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request and what its path names; the rest of its signature is only told.

    Around an upload's endpoint FastAPI took about 40 % of the event loop's CPU: it is left out where that counts.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Takes what any route takes."""
        super().__init__(path, endpoint, **options)
        self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.endpoint(Request(scope, receive), **scope["path_params"])
        await response(scope, receive, send)
