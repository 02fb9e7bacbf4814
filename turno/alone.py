"""One process alone, as a container or a service manager wants it: with the command line that `up` gives it."""

import os
from typing import NoReturn

from shared.broker import require_redis_url
from shared.settings import Settings
from turno.programs import make_programs
from turno.supervisor import Program


def become(name: str, settings: Settings) -> NoReturn:
    """Turns this very process into the API, a worker or a courier.

    Raises:
        OperatorError: REDIS_URL is empty; there is no embedded Redis without `up`.
    """
    require_redis_url(settings.redis_url)
    program: Program = getattr(make_programs(settings, os.environ, None, reload=False), name)
    os.execve(program.command[0], program.command, dict(program.environment))  # noqa: S606  no shell is wanted
