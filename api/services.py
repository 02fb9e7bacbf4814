"""What a route may use: the parts that `api.app` put together, reached as one dependency."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry, Counter

from api.intake import Intake
from api.waiting import Waiting
from shared.database import Database
from shared.images import ImageStore
from shared.line import Line
from shared.presence import Presence
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class ServiceSet:
    """The parts of one API process."""

    settings: Settings
    database: Database
    images: ImageStore
    line: Line
    presence: Presence
    intake: Intake
    waiting: Waiting
    registry: CollectorRegistry
    accepted: Counter
    model: str  # the name of the served model


def _of_request(request: Request) -> ServiceSet:
    services: ServiceSet = request.app.state.services
    return services


def _caller_of_request(request: Request) -> str:
    caller: str = request.state.caller
    return caller


Services = Annotated[ServiceSet, Depends(_of_request)]
Caller = Annotated[str, Depends(_caller_of_request)]
