"""The web page and its files: what a browser gets at `/` and under `/static`; open without a key."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC_DIR = Path(__file__).resolve().parent.parent / "static"

# The page needs nothing from elsewhere and nothing inline; previews of chosen photos are blob: URLs.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_FILE_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
_PAGE_HEADERS = _FILE_HEADERS | {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "geolocation=(), microphone=()",
}

router = APIRouter(include_in_schema=False)


@router.get("/")
@router.head("/")  # some monitors ask no more
def page() -> FileResponse:
    """The page for people."""
    return FileResponse(STATIC_DIR / "index.html", headers=_PAGE_HEADERS)


def mount_static(app: FastAPI) -> None:
    """Serve the page's scripts, styles and example photos under `/static`."""
    app.mount("/static", _RevalidatedFiles(directory=STATIC_DIR), name="static")


class _RevalidatedFiles(StaticFiles):
    """Files that a browser keeps but asks about each time, so that an update shows at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_FILE_HEADERS)
        return response
