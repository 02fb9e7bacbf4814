"""The commands of `python -m turno`; each imports what it needs when it runs, so that `--help` needs nothing."""

from typing import Annotated, NoReturn

import typer

from shared.errors import OperatorError

app = typer.Typer(
    name="turno",
    help="Asynchronous job-queue inference for Keras image classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it prints local variables, and a secret may be among them
)
_REFUSED = 2


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
    from shared.settings import load_settings

    settings = load_settings()
    try:
        bring_up_to_date(settings.sql_url)
    except (SQLAlchemyError, CommandError, OSError) as error:
        reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
        raise OperatorError(f"The database cannot be used ({reason}): check DATABASE_URL.") from error


@app.command(hidden=True)
def docs() -> None:
    """Writes anew what the documentation takes from the code; to be run in the repository."""
    from turno.reference import write_pages

    write_pages()
