"""The commands of `python -m turno`; each imports what it needs when it runs, so that `--help` needs nothing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from shared.errors import OperatorError
from turno import keys, models

if TYPE_CHECKING:
    from turno.client import Turno

app = typer.Typer(
    name="turno",
    help="Asynchronous job-queue inference for Keras image classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it prints local variables, and a secret may be among them
)
app.add_typer(keys.app, name="keys")
app.add_typer(models.app, name="models")
_REFUSED = 2
_Url = Annotated[str, typer.Option(envvar="TURNO_URL", help="Where the service is.")]
_Key = Annotated[str | None, typer.Option(envvar="TURNO_API_KEY", show_default=False, help="Its key, if it wants one.")]
_LOCAL_URL = "http://127.0.0.1:8000"


def main() -> None:
    """Runs one command; a start refused becomes its sentence on stderr and exit code 2."""
    try:
        app()
    except OperatorError as error:
        typer.echo(f"turno: {error}", err=True)
        raise SystemExit(_REFUSED) from None


@app.command()
def up(
    reload: Annotated[bool, typer.Option(help="Restart the API when its source changes, for development.")] = False,
) -> None:
    """Starts everything on this machine and keeps it running until Ctrl-C."""
    from shared.settings import load_settings
    from turno.up import run_everything

    run_everything(load_settings(), reload=reload)


@app.command()
def api() -> None:
    """Starts the API alone, once the database has the shape it needs."""
    from shared.images import open_images
    from shared.keys import required_keys
    from shared.settings import load_settings

    settings = load_settings()
    required_keys(settings)
    migrate()
    open_images(settings).prepare()
    _become("api")


@app.command()
def worker() -> None:
    """Starts a worker alone, once the model is prepared."""
    prepare()
    _become("worker")


@app.command()
def courier() -> None:
    """Starts a courier alone."""
    _become("courier")


def _become(name: str) -> NoReturn:
    from shared.settings import load_settings
    from turno.alone import become

    become(name, load_settings())


@app.command()
def prepare(
    beside: Annotated[
        bool, typer.Option("--beside", help="Keep the result beside the model, too: other machines take it from there.")
    ] = False,
) -> None:
    """Converts and checks the model at MODEL_PATH, so that a worker starts within seconds."""
    from shared.logs import configure_logging
    from shared.settings import load_settings
    from worker.prepare import prepare_served_model

    settings = load_settings()
    configure_logging(settings.log_level)
    try:
        folder = prepare_served_model(settings, beside=beside)
    except OSError as error:
        raise OperatorError(f"The model cannot be prepared: {error.strerror or error} ({error.filename}).") from error
    typer.echo(f"The model is ready in {folder}.")


@app.command()
def migrate() -> None:
    """Brings the database to the shape that this version needs."""
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    from shared.database import migrate as bring_up_to_date
    from shared.database import unusable_database
    from shared.settings import load_settings

    settings = load_settings()
    try:
        bring_up_to_date(settings.sql_url)
    except (SQLAlchemyError, CommandError, OSError) as error:
        raise unusable_database(error) from error


@app.command()
def predict(
    photos: Annotated[list[Path], typer.Argument(exists=True, help="PNG and JPEG files, and folders of them.")],
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the answers as CSV; - for stdout.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the answers as JSON; - for stdout.")] = None,
    url: _Url = _LOCAL_URL,
    api_key: _Key = None,
    priority: Annotated[
        Literal["interactive", "batch"] | None,
        typer.Option(help="Of one photo, interactive is the default; of many, batch.", show_default=False),
    ] = None,
    keep: Annotated[
        Literal["full", "result", "nothing"] | None, typer.Option(help="What stays there.", show_default=False)
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Look into the folders' folders, too.")] = False,
) -> None:
    """Sends photos to a Turno, here or elsewhere, and shows what they show."""
    with _open_turno(url, api_key) as turno:
        from turno.predict import predict as send

        code = send(turno, photos, priority=priority, keep=keep, recursive=recursive, csv_path=csv, json_path=json)
    raise typer.Exit(code)


@app.command()
def doctor(
    url: _Url = _LOCAL_URL,
    api_key: _Key = None,
    image: Annotated[
        Path | None, typer.Option(exists=True, help="An own photo to send, instead of the one that comes with Turno.")
    ] = None,
    expect: Annotated[str | None, typer.Option(help="The class that must come back for the photo.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Looks at a service the way its users do, and says what is wrong and what to do."""
    with _open_turno(url, api_key, timeout_seconds=10, retry_seconds=0) as turno:
        from turno.doctor import examine

        well = examine(turno, api_key, image=image, expect=expect, as_report=json)
    raise typer.Exit(0 if well else 1)


@app.command()
def listen(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 9000,
    secret: Annotated[
        str | None,
        typer.Option(envvar="TURNO_WEBHOOK_SECRET", show_default=False, help="whsec_…; the service is asked without."),
    ] = None,
    status: Annotated[
        int, typer.Option(min=200, max=599, help="What to answer; 500 lets you watch how it is tried again.")
    ] = 204,
    url: _Url = _LOCAL_URL,
    api_key: _Key = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each delivery.")] = False,
) -> None:
    """Receives webhooks on this machine and shows them, for development."""
    with _open_turno(url, api_key, timeout_seconds=10, retry_seconds=0) as turno:
        try:
            from turno.listen import listen as receive
        except ModuleNotFoundError as error:
            raise OperatorError(
                f"This needs {error.name}, which is not installed: python -m pip install {error.name}"
            ) from error
        receive(turno, secret, host=host, port=port, status=status, as_json=json)


def _open_turno(url: str, api_key: str | None, *, timeout_seconds: float = 30, retry_seconds: float = 60) -> "Turno":
    try:
        from turno.remote import open_turno
    except ModuleNotFoundError as error:
        raise OperatorError(
            f"This needs {error.name}, which is not installed: python -m pip install httpx httpx-sse rich tenacity"
        ) from error
    return open_turno(url, api_key, timeout_seconds=timeout_seconds, retry_seconds=retry_seconds)


@app.command(hidden=True)
def docs() -> None:
    """Writes anew what the documentation takes from the code; to be run in the repository."""
    from turno.reference import write_pages

    write_pages()
