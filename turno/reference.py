"""The parts of the documentation that are made from code: settings, errors, the card, the diagram of a job's life."""

import re
from pathlib import Path

from api.problems import STATUS
from shared.errors import JobError, TurnoError
from shared.jobs import MOVES, TERMINAL
from turno.card_schema import schema_text, with_entries
from turno.settings_docs import as_env, as_markdown

_ERRORS = """\
# Errors

Every error is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `request_id`, and the stable
`code` below. A failed job carries the same codes in its `error`; `POST /predict` answers with the status of the code
that its job failed with.

| code | status | meaning |
|---|---|---|
{rows}

With 429 and 503 comes `Retry-After`, with 401 `WWW-Authenticate`. The request id finds the request in the service's
log.

Made by `make docs` from `shared/errors/` and `api/problems.py`: change the sentences there.
"""
_DIAGRAM = re.compile(r"(<!-- generated from shared/jobs\.py by `make docs` -->\n).*?(<!-- end -->)", re.DOTALL)


_ARCHITECTURE = Path("docs/architecture.md")
_MODEL_CARD = Path("docs/model-card.md")


def write_pages() -> None:
    """Writes every generated page, below the working folder."""
    pages = {
        Path("docs/configuration.md"): as_markdown(),
        Path(".env.example"): as_env(),
        Path("docs/errors.md"): errors_page(),
        Path("docs/card.schema.json"): schema_text(),
        _MODEL_CARD: with_entries(_MODEL_CARD.read_text(encoding="utf-8")),
        _ARCHITECTURE: with_diagram(_ARCHITECTURE.read_text(encoding="utf-8")),
    }
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")


def errors_page() -> str:
    """The text of docs/errors.md."""
    rows = [
        f"| `{error.code}` | {status}{', of a job' if issubclass(error, JobError) else ''} | {error.title()} |"
        for error, status in sorted(STATUS.items(), key=lambda item: (item[1], item[0].code))
        if error is TurnoError or not error.__subclasses__()  # the others are there to be derived from
    ]
    return _ERRORS.format(rows="\n".join(rows))


def with_diagram(page: str) -> str:
    """The architecture page with the job's diagram as the code has it now."""
    return _DIAGRAM.sub(lambda match: f"{match[1]}```mermaid\n{_diagram()}\n```\n{match[2]}", page)


def _diagram() -> str:
    lines = ["stateDiagram-v2", "    [*] --> queued: POST, once image and row are durable"]
    lines += [
        f"    {source} --> {move.target}: {name} ({move.actor.replace(':', ',')})"
        for name, move in MOVES.items()
        for source in move.sources
    ]
    lines += [f"    {state} --> [*]" for state in sorted(TERMINAL)]
    return "\n".join(lines)
