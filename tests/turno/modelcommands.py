"""`turno models` in this process, in a place of its own."""

from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner, Result

from turno.cli import app

Turno = Callable[..., Result]
COLOURS = Path(__file__).with_name("models") / "colours.keras"
ADD = ("add", str(COLOURS), "--labels", "a,b,c", "--name", "new")


def models_in(folder: Path, **settings: str) -> Turno:
    """Runs `turno models …` with the models and the state of this folder; what is refused is raised."""
    environment = {"MODELS_DIR": str(folder / "models"), "STATE_DIR": str(folder / "var"), **settings}

    def run(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, ["models", *map(str, arguments)], env=environment)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
