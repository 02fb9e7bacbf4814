"""The gate before every route, passed before a body is read: host, key, size; and the access log behind it."""

import logging
import re
import secrets
import time
from functools import lru_cache
from typing import Any

from prometheus_client import Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from api.accesslog import AccessLog
from api.allowance import IMAGES, RATE, VIOLATED, Allowance, Standing
from api.keyring import LiveKeys
from api.problems import problem
from api.uploads import FORM_OVERHEAD_BYTES
from shared.errors import (
    HostRefused,
    QuotaExceeded,
    RateExceeded,
    ScopeMissing,
    TurnoError,
    Unauthorized,
    UploadTooLarge,
)
from shared.jobs import ApiKey, Scope
from shared.keys import LOCAL
from shared.logs import get_logger
from shared.loopback import is_loopback
from shared.settings import Settings

log = get_logger(__name__)

_OPEN_PATHS = {"/", "/docs", "/openapi.json", "/livez", "/readyz", "/favicon.ico"}
_OPEN_PREFIX = "/static/"
_PROBES = {"/livez", "/readyz", "/health", "/metrics"}  # asked every few seconds; "not yet" is an answer, not a fault
_LOCAL_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_is_loopback = lru_cache(128)(is_loopback)  # the same few peers ask again and again
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")

_READING = {"GET", "HEAD", "OPTIONS"}
# (path and all below it, needed to read, needed for anything else), the first that fits; None: any key will do
_SCOPES = (
    ("/v1/models", None, Scope.WRITE),
    ("/v1/webhooks", Scope.WRITE, Scope.WRITE),  # their secrets are no reader's business
    ("/v1", Scope.READ, Scope.WRITE),
    ("/predict", None, Scope.WRITE),
)


class Guard:
    """ASGI middleware: who asks, whether they may, and what became of it."""

    def __init__(
        self, app: ASGIApp, settings: Settings, keys: LiveKeys, allowance: Allowance, seconds: Histogram
    ) -> None:
        self._app = app
        self._keys = keys
        self._allowance = allowance
        self._most_bytes = settings.upload_max_bytes + FORM_OVERHEAD_BYTES
        self._most_batch_bytes = settings.batch_upload_max_bytes + FORM_OVERHEAD_BYTES
        self._seconds = seconds
        self._log = AccessLog(settings.log_level)

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Serves one connection of any kind; only HTTP requests are looked at."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = secrets.token_hex(16)
        state["caller"] = "-"
        status = 500
        started = time.perf_counter()

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.append("X-Request-ID", state["request_id"])
                if "standing" in state:
                    headers.update((await self._standing(scope, state)).headers(status))
            await send(message)

        try:
            try:
                await self._admit(scope, state)
            except TurnoError as error:
                await self._refuse(error, scope, state)(scope, receive, send_noting)
            else:
                await self._app(scope, receive, send_noting)
        except Exception as error:  # nothing of it leaves the service but a fixed sentence and the request id
            log.error("unexpected error", request_id=state["request_id"], exc_info=error)
            if status == 500:
                await problem(TurnoError(), request_id=state["request_id"])(scope, receive, send_noting)
        finally:
            self._note(scope, state, status, time.perf_counter() - started)

    async def _admit(self, scope: Connection, state: dict[str, Any]) -> None:
        """Names the caller, or raises what refuses the request."""
        headers = Headers(scope=scope)
        key = await self._identify(scope, headers, state)
        if key:
            state["key"] = key
            state["caller"] = key.id
            await self._require_allowed(scope, state, key)
        is_batch = _sends_images(scope) and scope["path"].startswith("/v1/batches")
        length, most_bytes = headers.get("content-length", ""), self._most_batch_bytes if is_batch else self._most_bytes
        if length.isdigit() and int(length) > most_bytes:
            raise UploadTooLarge(f"The upload has {int(length):,} bytes; at most {most_bytes:,} are taken.")

    async def _identify(self, scope: Connection, headers: Headers, state: dict[str, Any]) -> ApiKey | None:
        """Who asks; None where nobody needs to be known."""
        needed = scope["path"] not in _OPEN_PATHS and not scope["path"].startswith(_OPEN_PREFIX)
        given = _given_key(headers) if needed else ""
        # in an open service, too: the first key may have been made a moment ago, and closes it
        found = await self._keys.find(given) if needed and (given or not self._keys.open) else None
        if self._keys.open:
            self._require_local(scope, headers)
            return LOCAL
        if needed and not found:
            if given:
                state["refused_key"] = self._keys.id_of(given)
            raise Unauthorized
        return found

    async def _require_allowed(self, scope: Connection, state: dict[str, Any], key: ApiKey) -> None:
        """Counts the request, then looks at scope and quota."""
        standing = state["standing"] = await self._allowance.count(key)
        if standing.rate_exceeded:
            raise RateExceeded(None, **{VIOLATED: [RATE]})
        needed = needed_scope(scope["method"], scope["path"])
        if needed and not key.may(needed):
            raise ScopeMissing(f"This needs a key with the scope {needed}.")
        images = standing.window(IMAGES)
        if images and not images.remaining and _sends_images(scope) and not _may_be_a_replay(scope):
            raise QuotaExceeded(None, **{VIOLATED: [IMAGES]})

    def _refuse(self, error: TurnoError, scope: Connection, state: dict[str, Any]) -> JSONResponse:
        # what is left of a body is not worth reading
        headers = {"Connection": "close"} if _sends_images(scope) else None
        return problem(error, headers, request_id=state["request_id"])

    async def _standing(self, scope: Connection, state: dict[str, Any]) -> Standing:
        """Where the key stands as its answer goes out: what the request brought has been charged by then."""
        standing: Standing = state["standing"]
        if standing.window(IMAGES) and _sends_images(scope) and not standing.rate_exceeded:
            return await self._allowance.standing(state["key"])
        return standing

    def _require_local(self, scope: Connection, headers: Headers) -> None:
        # a name other than localhost is another site's page in this machine's browser (DNS rebinding)
        peer = (scope.get("client") or ("127.0.0.1", 0))[0]
        if not _LOCAL_HOST.fullmatch(headers.get("host", "")) or not _is_loopback(peer):
            raise HostRefused
        # and a form on another site's page can send an image here without reading the answer
        if not _LOCAL_HOST.fullmatch(headers.get("origin", "http://localhost").partition("://")[2]):
            raise HostRefused("Without a key this service takes nothing from other sites' pages.")
        # proxies that add no header speak HTTP/1.0 unless told otherwise; browsers and curl never do
        if scope["http_version"] == "1.0" or any(header in headers for header in _PROXY_HEADERS):
            raise HostRefused("Behind a proxy a key is needed: set API_KEY.")

    def _note(self, scope: Connection, state: dict[str, Any], status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or ("/static" if "/static/" in scope["path"] else "-")
        self._seconds.labels(scope["method"], route, str(status)).observe(seconds)
        refused = status in (401, 403, 429) or (status >= 500 and route not in _PROBES)
        self._log.write(
            logging.WARNING if refused else logging.DEBUG if route in _PROBES else logging.INFO,
            method=scope["method"],
            route=route if route != "-" else scope["path"][:200],
            status=status,
            ms=round(seconds * 1000, 1),
            caller=state["caller"],
            **{name: state[name] for name in ("refused_key", "job") if name in state},
            client=(scope.get("client") or ("-", 0))[0],
            request_id=state["request_id"],
        )


def needed_scope(method: str, path: str) -> Scope | None:
    """What a key must be allowed to do for this request; None: any key will do."""
    for prefix, to_read, otherwise in _SCOPES:
        if path == prefix or path.startswith(f"{prefix}/"):
            return to_read if method in _READING else otherwise
    return None


def _sends_images(scope: Connection) -> bool:
    """Whether the body of this request holds images."""
    method, path = scope["method"], scope["path"].rstrip("/")
    return (method == "POST" and path in ("/v1/jobs", "/v1/batches", "/predict")) or (
        method == "PUT" and path.startswith("/v1/jobs/")
    )


def _given_key(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")


def _may_be_a_replay(scope: Connection) -> bool:
    # which costs nothing: whether it is one is known once its payload is
    return scope["method"] == "PUT" or "idempotency-key" in Headers(scope=scope)
