"""`turno predict`: photos in, answers out, against a Turno anywhere."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from shared.errors import OperatorError
from turno.client import Batch, Refused, Turno, TurnoError
from turno.client.transport import Call
from turno.predictions import Prediction, as_csv, as_json, show_table
from turno.remote import advice
from turno.screen import harmless

_SUFFIXES = {".png", ".jpg", ".jpeg"}
_HEADS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_OF_THE_IMAGE = {413, 415, 422}  # refusals of one photo, not of us
_STDOUT = Path("-")
_SOME_FAILED, _INTERRUPTED = 1, 130


def predict(
    turno: Turno,
    paths: Sequence[Path],
    *,
    priority: str | None = None,
    keep: str | None = None,
    recursive: bool = False,
    csv_path: Path | None = None,
    json_path: Path | None = None,
) -> int:
    """Sends the photos and shows what became of each.

    Returns:
        The exit code: 0, or 1 when a photo has no answer.

    Raises:
        OperatorError: there is nothing to send, the service refuses or cannot be reached, or a file cannot be written.
    """
    wanted = {path: form for path, form in ((csv_path, as_csv), (json_path, as_json)) if path}
    if csv_path and csv_path == json_path:
        raise OperatorError("--csv and --json cannot go to the same place: give each its own.")
    for path in wanted:
        _require_writable(path)
    photos, unfit = _collect(paths, recursive=recursive)
    if not photos:
        raise OperatorError("There is no PNG or JPEG among these: give photos, or folders of photos.")
    run = _Run(turno, photos, priority, keep)
    try:
        predictions = run.send_and_wait()
    except KeyboardInterrupt:
        run.say_where(interrupted=True)
        raise typer.Exit(_INTERRUPTED) from None
    except TurnoError as error:
        run.say_where()
        raise OperatorError(advice(error)) from error
    except OSError as error:
        run.say_where()
        raise OperatorError(f"{error.filename} cannot be read ({error.strerror}).") from error
    for path, form in wanted.items():
        _write(path, form(predictions))
    if _STDOUT not in wanted:
        show_table(predictions)
    bad = [one for one in predictions if not one.good]
    for one in bad:
        reason = f"{one.error}: {one.detail}" if one.error else one.status
        typer.echo(f"turno: {harmless(one.filename)}: {reason}", err=True)
    return _SOME_FAILED if bad or unfit else 0


class _Run:
    """The photos on their way."""

    def __init__(self, turno: Turno, photos: list[Path], priority: str | None, keep: str | None) -> None:
        self._turno = turno
        self._photos = photos
        self._priority = priority
        self._keep = keep
        self._accepted: list[str] = []  # routes at which the answers will stand

    def send_and_wait(self) -> list[Prediction]:
        """What became of each photo, in their order."""
        # a wrong address or key is found at once, and before gigabytes are sent
        self._turno.transport.send(Call("GET", "/v1/models"), patience_seconds=0)
        with _progress(len(self._photos)) as (sent, ended):
            return [self._one(sent, ended)] if len(self._photos) == 1 else self._many(sent, ended)

    def say_where(self, *, interrupted: bool = False) -> None:
        """Tells what goes on without us, and how to fetch it."""
        if self._accepted:
            typer.echo("turno: What was accepted goes on. Fetch the answers later:", err=True)
        elif interrupted:
            typer.echo("turno: Nothing was accepted, unless its answer was still on the way. This lists it:", err=True)
            self._accepted = ["/v1/jobs?limit=10"]
        for route in self._accepted:
            typer.echo(f'  curl -H "X-API-Key: $TURNO_API_KEY" "{self._turno.url}{route}"', err=True)

    def _one(self, sent: "_Advance", ended: "_Advance") -> Prediction:
        name = str(self._photos[0])
        try:
            job = self._turno.submit(self._photos[0], priority=self._priority or "interactive", keep=self._keep)
        except Refused as refusal:
            if refusal.status not in _OF_THE_IMAGE:
                raise
            return Prediction.of_refusal(name, refusal)
        self._accepted.append(f"/v1/jobs/{job.id}")
        sent(1)
        job = self._turno.wait(job)
        ended(1)
        return Prediction.of_job(name, job)

    def _many(self, sent: "_Advance", ended: "_Advance") -> list[Prediction]:
        all_sent = 0

        def accepted(batch: Batch) -> None:
            nonlocal all_sent
            all_sent += batch.total
            self._accepted += [f"/v1/batches/{id_}/results.csv" for id_ in batch.ids]
            sent(all_sent)

        batch = self._turno.batch(
            self._photos, priority=self._priority or "batch", keep=self._keep, on_accepted=accepted
        )
        for now in self._turno.watch_batch(batch):
            ended(now.ended)
        found = self._turno.batch_results(batch)
        return [Prediction.of_file(str(self._photos[one.index]), one) for one in found]


_Advance = Callable[[int], None]


@contextmanager
def _progress(total: int) -> Iterator[tuple[_Advance, _Advance]]:
    """Two bars on stderr; none where nobody looks on."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def advance(task: TaskID) -> _Advance:
            return lambda completed: progress.update(task, completed=completed)

        yield advance(progress.add_task("sent", total=total)), advance(progress.add_task("answered", total=total))


def _collect(paths: Iterable[Path], *, recursive: bool) -> tuple[list[Path], int]:
    """The photos among these, and how many could not be read; what is no photo is named and skipped."""
    photos, unreadable = [], 0
    for path in _files(paths, recursive=recursive):
        try:
            if _is_photo(path):
                photos.append(path)
            else:
                typer.echo(f"turno: {harmless(str(path))} is skipped: neither PNG nor JPEG.", err=True)
        except OSError as error:
            unreadable += 1
            typer.echo(f"turno: {harmless(str(path))} cannot be read ({error.strerror}).", err=True)
    return photos, unreadable


def _files(paths: Iterable[Path], *, recursive: bool) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = path.rglob("*") if recursive else path.iterdir()
            yield from sorted(one for one in inside if one.is_file() and not one.name.startswith("."))
        else:
            yield path


def _is_photo(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(8)
    return head.startswith(_HEADS) or path.suffix.lower() in _SUFFIXES


def _require_writable(path: Path) -> None:
    """Before anything is sent: an answer that can then not be written would be lost."""
    if path == _STDOUT:
        return
    try:
        path.open("a").close()
    except OSError as error:
        _cannot_write(path, error)


def _write(path: Path, text: str) -> None:
    if path == _STDOUT:
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        _cannot_write(path, error)


def _cannot_write(path: Path, error: OSError) -> NoReturn:
    raise OperatorError(f"{path} cannot be written ({error.strerror}): choose another place.") from error
