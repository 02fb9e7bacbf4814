"""Logs: one JSON object a line on stdout; no secret and no image content ever goes in."""

import logging
import re
import sys
from typing import Any

# structlog imports rich, where it is installed, for tracebacks on a terminal: 120 ms of CPU. Others may want it later.
_ABSENT: Any = None
sys.modules.setdefault("rich", _ABSENT)
import structlog  # noqa: E402

if sys.modules["rich"] is _ABSENT:
    del sys.modules["rich"]

_ROW = re.compile(r"\nDETAIL:.*?(?=\n\[SQL|\n\n|\Z)", re.DOTALL)


def _drop_colors(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    event.pop("color_message", None)  # uvicorn says everything twice, once in colour
    return event


def _cut_rows(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    if "exception" in event:  # PostgreSQL shows the row that it refuses, and secrets may be in it
        event["exception"] = _ROW.sub("", event["exception"])
    return event


# what structlog and everybody else's records go through alike
_STEPS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    _drop_colors,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    _cut_rows,
]
# one list for the process's whole life: a logger keeps the one that it was first used with
_PROCESSORS: list[Any] = [
    structlog.stdlib.filter_by_level,
    *_STEPS,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]


def configure_logging(level: str) -> None:
    """Sends structlog's and everybody else's records to stdout as JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_STEPS,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for own in ("uvicorn", "uvicorn.error"):  # set up by uvicorn before it calls the factory
        logging.getLogger(own).handlers[:] = []
        logging.getLogger(own).propagate = True
    # they log every task and every request; ours say it once, with the job's id
    for noisy in ("celery.app.trace", "celery.worker.strategy", "httpx", "alembic"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=_PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose keyword arguments become fields."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
