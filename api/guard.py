"""The gate before every route, passed before a body is read: host, key, size; and the access log behind it."""

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from prometheus_client import Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem
from api.uploads import FORM_OVERHEAD_BYTES
from shared.errors import HostRefused, TurnoError, Unauthorized, UploadTooLarge
from shared.keys import LOCAL_CALLER, KeyRing
from shared.logs import get_logger
from shared.loopback import is_loopback
from shared.settings import Settings

log = get_logger("api.access")

_OPEN_PATHS = {"/", "/docs", "/openapi.json", "/livez", "/readyz", "/favicon.ico"}
_OPEN_PREFIX = "/static/"
_PROBES = {"/livez", "/readyz", "/health", "/metrics"}  # asked every few seconds; "not yet" is an answer, not a fault
_LOCAL_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Guard:
    """ASGI middleware: who asks, whether they may, and what became of it."""

    def __init__(self, app: ASGIApp, settings: Settings, keys: KeyRing, seconds: Histogram) -> None:
        self._app = app
        self._keys = keys
        self._most_bytes = settings.upload_max_bytes + FORM_OVERHEAD_BYTES
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection of any kind; only HTTP requests are looked at."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = uuid.uuid4().hex
        state["caller"] = "-"
        status = 500
        started = time.perf_counter()

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = state["request_id"]
            await send(message)

        try:
            try:
                self._admit(scope, state)
            except TurnoError as refusal:
                await problem(refusal, request_id=state["request_id"])(scope, receive, send_noting)
            else:
                await self._app(scope, receive, send_noting)
        except Exception as error:  # nothing of it leaves the service but a fixed sentence and the request id
            log.error("unexpected error", request_id=state["request_id"], exc_info=error)
            if status == 500:
                await problem(TurnoError(), request_id=state["request_id"])(scope, receive, send_noting)
        finally:
            self._note(scope, state, status, time.perf_counter() - started)

    def _admit(self, scope: Scope, state: dict[str, Any]) -> None:
        """Names the caller, or raises what refuses the request."""
        headers = Headers(scope=scope)
        if not self._keys:
            self._require_local(scope, headers)
            state["caller"] = LOCAL_CALLER
        elif scope["path"] not in _OPEN_PATHS and not scope["path"].startswith(_OPEN_PREFIX):
            caller = self._keys.caller(_given_key(headers))
            if caller is None:
                raise Unauthorized
            state["caller"] = caller
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._most_bytes:
            raise UploadTooLarge(f"The upload has {int(length):,} bytes; at most {self._most_bytes:,} are taken.")

    def _require_local(self, scope: Scope, headers: Headers) -> None:
        # a name other than localhost is another site's page in this machine's browser (DNS rebinding)
        peer = (scope.get("client") or ("127.0.0.1", 0))[0]
        if not _LOCAL_HOST.fullmatch(headers.get("host", "")) or not is_loopback(peer):
            raise HostRefused
        # and a form on another site's page can send an image here without reading the answer
        if not _LOCAL_HOST.fullmatch(headers.get("origin", "http://localhost").partition("://")[2]):
            raise HostRefused("Without a key this service takes nothing from other sites' pages.")
        # proxies that add no header speak HTTP/1.0 unless told otherwise; browsers and curl never do
        if scope["http_version"] == "1.0" or any(header in headers for header in _PROXY_HEADERS):
            raise HostRefused("Behind a proxy a key is needed: set API_KEY.")

    def _note(self, scope: Scope, state: dict[str, Any], status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or ("/static" if "/static/" in scope["path"] else "-")
        self._seconds.labels(scope["method"], route, str(status)).observe(seconds)
        refused = status in (401, 403) or (status >= 500 and route not in _PROBES)
        level: Callable[..., Any] = log.warning if refused else log.debug if route in _PROBES else log.info
        level(
            "request",
            method=scope["method"],
            route=route if route != "-" else scope["path"][:200],
            status=status,
            ms=round(seconds * 1000, 1),
            caller=state["caller"],
            **({"job": state["job"]} if "job" in state else {}),
            client=(scope.get("client") or ("-", 0))[0],
            request_id=state["request_id"],
        )


def _given_key(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
