"""What became of each photo that `turno predict` sent: as a table, as CSV, as JSON."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from turno.client import BatchResult, Job, JobError, Refused
from turno.screen import harmless

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run (OWASP, CSV injection)
_LEAST_COLUMNS = 60  # a terminal without a size would show nothing
_PIPE_COLUMNS = 1000  # whoever reads a pipe wants each photo on one line


@dataclass(frozen=True, slots=True)
class Prediction:
    """One photo and its answer, or why it has none."""

    filename: str
    status: str
    predicted_class: str | None = None
    confidence: float | None = None
    verdict: str | None = None
    probabilities: dict[str, float] | None = None
    job_id: str | None = None
    error: str | None = None
    detail: str | None = None
    hints: tuple[str, ...] = ()  # codes

    @property
    def good(self) -> bool:
        """Whether there is an answer."""
        return self.status == "succeeded"

    @classmethod
    def of_job(cls, filename: str, job: Job) -> Self:
        """From a ticket."""
        found = cls(filename, job.status, job_id=job.id)
        if job.result:
            found = replace(
                found,
                predicted_class=job.result.predicted_class,
                confidence=job.result.confidence,
                verdict=job.result.verdict.kind if job.result.verdict else None,
                probabilities=job.result.probabilities,
                hints=tuple(hint.code for hint in job.result.hints),
            )
        return found._because(job.error)

    @classmethod
    def of_file(cls, filename: str, result: BatchResult) -> Self:
        """From a batch."""
        found = cls(
            filename,
            result.status,
            result.predicted_class,
            result.confidence,
            result.verdict.kind if result.verdict else None,
            result.probabilities,
            result.job_id,
            hints=tuple(hint.code for hint in result.hints),
        )
        return found._because(result.error)

    @classmethod
    def of_refusal(cls, filename: str, refusal: Refused) -> Self:
        """Of a photo that was not accepted."""
        return cls(filename, "refused", error=refusal.code, detail=refusal.detail)

    def _because(self, error: JobError | None) -> Self:
        return replace(self, error=error.code, detail=error.detail or error.title) if error else self


def show_table(predictions: Sequence[Prediction]) -> None:
    """Prints a line for each photo on stdout."""
    table = Table("photo", "class", "confidence", "verdict", "hints", box=None, pad_edge=False, header_style="dim")
    table.columns[0].overflow = "fold"
    table.columns[2].justify = "right"
    for one in predictions:
        answer = one.predicted_class if one.good else one.status
        confidence = "" if one.confidence is None else f"{one.confidence:.1%}"
        said = ", ".join(code.replace("_", " ") for code in one.hints)
        cells = (one.filename, answer or "", confidence, one.verdict or one.error or "", said)
        table.add_row(*(Text(harmless(cell)) for cell in cells))
    console = Console()
    console.print(table, width=max(console.width, _LEAST_COLUMNS) if console.is_terminal else _PIPE_COLUMNS)


def as_csv(predictions: Sequence[Prediction]) -> str:
    """A line for each photo, with a column for each class."""
    columns = ("filename", "status", "predicted_class", "confidence", "verdict", "job_id", "error", "detail", "hints")
    classes = list(dict.fromkeys(label for one in predictions for label in one.probabilities or ()))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *(f"p:{label}" for label in classes)])
    for one in predictions:
        cells = [getattr(one, column) for column in columns[:-1]] + [" ".join(one.hints) or None]
        probabilities = [(one.probabilities or {}).get(label) for label in classes]
        writer.writerow([_no_formula(cell) for cell in cells] + probabilities)
    return text.getvalue()


def as_json(predictions: Sequence[Prediction]) -> str:
    """A list with an object for each photo."""
    return json.dumps([asdict(one) for one in predictions], indent=1) + "\n"


def _no_formula(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
