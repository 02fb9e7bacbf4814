"""The commands of `turno models`; each imports what it needs when it runs."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.cardwords import ACTIVATIONS, COLOR_ORDERS, EXIF_RULES, FITS, INTERPOLATIONS, JPEG_DECODERS, SCALES
from turno.models.recipes import RECIPES
from turno.screen import harmless

if TYPE_CHECKING:
    from shared.settings import Settings
    from turno.models.contract import Told

app = typer.Typer(
    help="The models of MODELS_DIR: bring in, list, show, verify, check, calibrate.", no_args_is_help=True
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="A folder in MODELS_DIR, or the path of one.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def _one_of(choices: tuple[str, ...], what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=f"{what}: {', '.join(choices)}.", show_default=False)
    return option


_Pixels = Annotated[int | None, typer.Option(help="In pixels, where the model takes any.", show_default=False)]
_ForPeople = Annotated[str | None, typer.Option(help="For people.", show_default=False)]


@app.command()
def add(
    path: Annotated[str, typer.Argument(metavar="PATH", help="The model's file or folder; also on s3:// or gs://.")],
    labels: Annotated[
        str, typer.Option(help="healthy,rust in output order; a labels.txt, class_indices.json, or training folder.")
    ],
    name: Annotated[str, typer.Option(help="What the model is called here.")],
    recipe: Annotated[str | None, _one_of(tuple(RECIPES), "Resizes as this does; its scale where it has one")] = None,
    scale: Annotated[str | None, _one_of(SCALES, "The pixels, as training had them")] = None,
    mean: Annotated[
        str | None, typer.Option(help="By channel, of 0–255: for scale custom.", show_default=False)
    ] = None,
    deviation: Annotated[str | None, typer.Option(help="Likewise.", show_default=False)] = None,
    interpolation: Annotated[str | None, _one_of(INTERPOLATIONS, "The resize filter of training")] = None,
    antialias: Annotated[
        bool | None, typer.Option("--antialias/--no-antialias", help="Off: as tf.image and OpenCV shrink.")
    ] = None,
    fit: Annotated[str | None, _one_of(FITS, "How another aspect is made to fit")] = None,
    color_order: Annotated[str | None, _one_of(COLOR_ORDERS, "Of the channels")] = None,
    exif: Annotated[str | None, _one_of(EXIF_RULES, "The camera's rotation")] = None,
    jpeg_decoder: Annotated[str | None, _one_of(JPEG_DECODERS, "Whose pixels of a JPEG")] = None,
    width: _Pixels = None,
    height: _Pixels = None,
    activation: Annotated[str | None, _one_of(ACTIVATIONS, "What the outputs are")] = None,
    description: _ForPeople = None,
    licence: _ForPeople = None,
    allow_pickle: Annotated[bool, typer.Option(help="Open a .joblib, which runs its maker's code.")] = False,
    replace: Annotated[bool, typer.Option(help="Put it in the place of a model of that name.")] = False,
) -> None:
    """Brings a model in: reads it, proves that it serves, and writes its card."""
    from turno.models.contract import tell

    told = tell(
        recipe, scale=scale, interpolation=interpolation, antialias=antialias, fit=fit, color_order=color_order,
        exif=exif, jpeg_decoder=jpeg_decoder, width_px=width, height_px=height, activation=activation, mean=mean,
        deviation=deviation, description=description, licence=licence,
    )  # fmt: skip
    settings = _settings()
    if allow_pickle:
        settings = settings.model_copy(update={"model_allow_pickle": True})
    _add(settings, path, name, labels, told, anew=replace)


def _add(settings: "Settings", path: str, name: str, labels: str, told: "Told", *, anew: bool) -> None:
    from turno.models.add import add_model
    from turno.models.labels import read_labels
    from turno.models.progress import shown_log
    from turno.models.shown import card_lines

    with shown_log():
        card = add_model(settings, path, name, read_labels(labels), told, anew=anew)
    _say(card_lines(card))
    folder = settings.models_dir / name
    _say(("", f"It lies in {folder}. Prove it on labelled photos, then serve it:"))
    _say((f"  python -m turno models check {name} --images FOLDER", f"  MODEL_PATH={folder}"))


@app.command("list")
def list_models(as_json: _Json = False) -> None:
    """Lists the models of MODELS_DIR."""
    from turno.models.folders import every_model
    from turno.models.shown import show_table

    settings = _settings()
    models = every_model(settings)
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in models], indent=2, ensure_ascii=False))
    elif models:
        show_table(models)
    else:
        _say((f"There is no model in {settings.models_dir}: `python -m turno models add` brings one in.",))


@app.command()
def show(name: _Name, as_json: _Json = False) -> None:
    """Shows a model's contract, what of it was derived or assumed, and what was proven."""
    from turno.models.folders import require_model
    from turno.models.shown import card_lines

    found = require_model(_settings(), name)
    assert found.card
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
        return
    _say(card_lines(found.card))
    _say((f"file: {found.folder / found.card.file}{', served here' if found.served else ''}",))


@app.command()
def verify(name: _Name) -> None:
    """Prepares a model anew, compares the engines with Keras, and writes what was found into its card."""
    from turno.models.cardfile import record
    from turno.models.folders import CARD, require_model
    from turno.models.progress import shown_log
    from turno.models.proof import prove_folder, scratch_folder
    from turno.models.shown import proven_line

    settings = _settings()
    found = require_model(settings, name)
    with shown_log(), scratch_folder(settings.state_dir, "verifying") as scratch:
        verified = prove_folder(settings, found.folder, scratch).verified
    _say((f"{found.name} serves: {proven_line(verified)}.",))
    record(found.folder / CARD, "verified", verified)


@app.command()
def check(
    name: _Name,
    images: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Photos: a folder for each label, called like it.")
    ],
    answers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="What model.predict gave in training's code, as JSON."
        ),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Photos of each label that are looked at.")] = 40,
    picture: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the findings as PNG.")] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the findings as JSON.")] = None,
) -> None:
    """Runs labelled photos through the card's contract and the plausible wrong ones, and says which they support."""
    from turno.models.cardfile import record
    from turno.models.folders import CARD, require_model
    from turno.models.loading import load, load_swapped
    from turno.models.progress import shown_bar, shown_log
    from turno.models.proof import scratch_folder
    from worker.check import run_check

    settings = _settings()
    found = require_model(settings, name)
    with shown_log(), scratch_folder(settings.state_dir, "checking") as scratch:
        model, swapped = load(found, settings), load_swapped(found, settings, scratch)
    with shown_bar() as bar:
        verdict = run_check(
            model, images, most=most, picture=picture, report=report, show=bar, swapped=swapped, recorded=answers
        )
    _say((*verdict.sentences, *verdict.lines))
    record(found.folder / CARD, "checked", verdict.checked)  # a bad finding, too: an older good one would mislead
    raise typer.Exit(verdict.exit_code)


@app.command()
def calibrate(
    name: _Name,
    images: Annotated[
        Path,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Photos that training never saw: a folder for each label, called like it.",
        ),
    ],
    right: Annotated[float, typer.Option(min=0.5, max=1, help="Share of firm verdicts that has to be right.")] = 0.95,
    most: Annotated[int, typer.Option(min=1, help="Photos of each label that are looked at.")] = 500,
) -> None:
    """Fits temperature and thresholds on labelled photos, and writes them into the card."""
    from turno.models.cardfile import set_outputs
    from turno.models.folders import CARD, require_model
    from turno.models.loading import load
    from turno.models.progress import shown_bar, shown_log
    from turno.models.shown import fitted_lines
    from worker.check.thresholds import fit_thresholds

    settings = _settings()
    found = require_model(settings, name)
    with shown_log():
        model = load(found, settings)
    with shown_bar() as bar:
        fitted = fit_thresholds(model, images, most=most, wanted=right, show=bar)
    set_outputs(found.folder / CARD, fitted.entries, f"fitted on {fitted.photos} photos")
    _say(fitted_lines(fitted))


def _settings() -> "Settings":
    from shared.settings import load_settings

    return load_settings()


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(harmless(line))
