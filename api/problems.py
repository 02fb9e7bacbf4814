"""Which HTTP status each error becomes, and the only writer of RFC 9457 `application/problem+json`."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from shared import errors
from shared.logs import get_logger

log = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_BODY_UNREAD = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}

STATUS: dict[type[errors.TurnoError], int] = {
    errors.TurnoError: 500,
    errors.RequestError: 400,
    errors.MalformedRequest: 400,
    errors.Unauthorized: 401,
    errors.HostRefused: 403,
    errors.ScopeMissing: 403,
    errors.UnknownRoute: 404,
    errors.UnknownModel: 404,
    errors.UnknownJob: 404,
    errors.UnknownBatch: 404,
    errors.UnknownWebhook: 404,
    errors.UnknownDelivery: 404,
    errors.MethodRefused: 405,
    errors.UploadTooSlow: 408,
    errors.MoveRefused: 409,
    errors.JobErased: 410,
    errors.BatchErased: 410,
    errors.UploadTooLarge: 413,
    errors.ImageTypeRefused: 415,
    errors.ImageUndecodable: 422,
    errors.ImageTooManyPixels: 422,
    errors.WebhookRefused: 422,
    errors.KeyReused: 422,
    errors.BatchRefused: 422,
    errors.RateExceeded: 429,
    errors.QuotaExceeded: 429,
    errors.CapacityError: 503,
    errors.QueueFull: 503,
    errors.StorageFull: 503,
    errors.StoreUnavailable: 503,
    errors.NamesUnavailable: 503,
    errors.PredictTimeout: 503,
    errors.JobError: 500,
    errors.WorkerLost: 500,
    errors.ModelGone: 500,
    errors.ImageMissing: 500,
    errors.ModelFault: 500,
    errors.DeadlineExceeded: 504,
}
_BY_CODE = {error.code: error for error in STATUS}


def problem(error: errors.TurnoError, headers: dict[str, str] | None = None, **extensions: Any) -> JSONResponse:
    """The problem document for an error; `extensions` are further members of it."""
    status = STATUS[type(error)]
    headers = dict(headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="turno"'
    if status in _BODY_UNREAD:
        headers["Connection"] = "close"  # what is left of the body is not worth reading
    if isinstance(error, errors.CapacityError):
        headers.setdefault("Retry-After", str(error.retry_after_seconds))
    document = {
        "type": f"urn:turno:problem:{error.code}",
        "title": error.title(),
        "status": status,
        "detail": error.detail,
        "code": error.code,
        **error.members,
        **extensions,
    }
    return JSONResponse(document, status, headers, MEDIA_TYPE)


def error_of(code: str, detail: str | None) -> errors.TurnoError:
    """The error that a job recorded under `code`."""
    return _BY_CODE.get(code, errors.JobError)(detail)


def install(app: FastAPI) -> None:
    """Renders every exception that leaves a route."""

    def on(kind: type[Exception]) -> Callable[[_Handler], _Handler]:
        return app.exception_handler(kind)

    @on(errors.TurnoError)
    async def known(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, errors.TurnoError)
        if isinstance(error, errors.CapacityError):
            log.warning("refused for now", code=error.code, exc_info=error.__cause__)
        return problem(error, request_id=request.state.request_id)

    @on(SQLAlchemyError)
    async def database(request: Request, error: Exception) -> JSONResponse:
        log.error("the database failed", request_id=request.state.request_id, exc_info=error)
        return problem(errors.StoreUnavailable(), request_id=request.state.request_id)

    @on(RequestValidationError)
    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        places = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        return problem(errors.MalformedRequest(places[:1000]), request_id=request.state.request_id)

    @on(HTTPException)
    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        kinds = {404: errors.UnknownRoute, 405: errors.MethodRefused}
        kind = kinds.get(error.status_code, errors.MalformedRequest)
        headers = dict(error.headers or {})
        if kind is errors.MethodRefused:
            headers["Allow"] = ", ".join(sorted(_methods_at(request)))
        return problem(kind(), headers, request_id=request.state.request_id)


def _methods_at(request: Request) -> set[str]:
    """What this address takes, whichever route it is (RFC 9110, 15.5.6)."""
    routes = iter_route_contexts(request.app.routes)
    fitting = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in fitting for method in route.methods or ()}


_Handler = Callable[[Request, Exception], Awaitable[JSONResponse]]
