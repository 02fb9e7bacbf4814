"""The real API with one more route, which tells how many jobs are being watched."""

from fastapi import FastAPI

from api import app as api_app


def create_app() -> FastAPI:
    """The application; `uvicorn --factory tests.e2e.watched_api:create_app`."""
    app = api_app.create_app()

    async def watched() -> int:
        return len(app.state.services.waiting._watches)

    app.add_api_route("/watched", watched)
    return app
