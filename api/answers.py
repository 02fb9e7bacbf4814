"""The shapes of what is kept and answered as plain JSON: results, verdicts, timelines, model cards, readiness.

They describe; nothing is checked against them on its way out, for results of earlier versions are answered, too.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import list_schema

from shared.cardwords import ACTIVATIONS, COLOR_ORDERS, EXIF_RULES, FITS, INTERPOLATIONS, JPEG_DECODERS, SCALES

Probability = Annotated[float, Field(ge=0, le=1)]
_ByLanguage = Annotated[dict[str, str], Field(description="by language, such as `en`")]


@dataclass(frozen=True, slots=True)
class Described:
    """Annotates plain JSON with what describes it in the OpenAPI document."""

    kind: type[BaseModel | StrEnum]

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema of what describes, in place of that of the annotated type."""
        # by itself it would be written out here; inside of a list it is named and referred to
        described: JsonSchemaValue = handler(list_schema(TypeAdapter(self.kind).core_schema))["items"]
        return described


def _without_defaults(schema: dict[str, Any]) -> None:
    """What may be missing has no default: it is not there."""
    for described in schema["properties"].values():
        described.pop("default", None)


def _one_of(choices: tuple[str, ...]) -> Any:
    return Field("", json_schema_extra={"enum": list(choices)})


class Priority(StrEnum):
    """Which jobs leave the line first: interactive ones."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class Verdict(BaseModel):
    """What the numbers are worth."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    kind: Literal["diagnosed", "uncertain", "not_recognised"]
    label: str = Field(
        alias="class",
        description="the most probable class; for `not_recognised`, of those that the model is not for",
    )
    probability: Probability = Field(description="calibrated, of that class")
    threshold: Probability = Field(description="the probability from which the verdict is `diagnosed`")
    not_recognised_probability: Probability = Field(
        0, description="calibrated, of all classes together that the model is not for"
    )
    not_recognised_threshold: Probability = Field(0, description="from which the verdict is `not_recognised`")
    reason_code: Literal["sure_enough", "not_sure_enough", "perhaps_not_recognised", "not_recognised"] = Field(
        "sure_enough", description="why it is this verdict; `perhaps_not_recognised` is `uncertain`"
    )
    reason: str = Field(description="the same as a sentence for people, in English")
    name: _ByLanguage
    advice: _ByLanguage


class Hint(BaseModel):
    """What may be wrong with the photo; it changes nothing in the answer."""

    code: Literal["too_dark", "too_bright", "too_blurred", "too_small"]
    value: float = Field(description="as measured: brightness of 0–255, sharpness, or pixels")
    limit: float = Field(description="the least, or of `too_bright` the most, that gives no hint")
    text: str = Field(description="a sentence for people, in English")


class Evidence(BaseModel):
    """How the served model compared with the framework that it was trained in."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    largest_shift: float = Field(0, description="of any probability, on the images compared")
    images: int = Field(0, description="how many were compared")


class Receipt(BaseModel):
    """Which model gave a result."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    name: str
    version: str
    sha256: str = Field(description="digest of the model file")
    engine: Literal["openvino", "tensorflow"]
    precision: str
    verified: Evidence = Evidence()


class Timeline(BaseModel):
    """Milliseconds since `received` at which each stage was reached; stages not reached yet are left out."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    received: float
    queued: float = Field(0, description="image and row were durable")
    claimed: float = Field(0, description="a worker took it")
    decoded: float = 0
    inferred: float = 0
    stored: float = Field(0, description="its end was durable")


class Result(BaseModel):
    """What the model says of an image."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    filename: str | None
    predictions: list[float] = Field(description="the model's own numbers, in the order of its labels")
    predicted_class: str = Field(description="the label with the largest of them")
    confidence: float = Field(description="that number; `verdict.probability` is the calibrated one")
    probabilities: dict[str, float] = Field(description="the same numbers by label")
    verdict: Verdict
    hints: list[Hint] = Field([], description="none for a good photo")
    model: Receipt
    timeline: Timeline


class Prediction(BaseModel):
    """The answer of `POST /predict`."""

    filename: str | None
    predictions: list[float] = Field(description="the model's own numbers, in the order of its labels")
    predicted_class: str
    confidence: float
    probabilities: dict[str, float] = Field(description="the same numbers by label")
    job_id: str


class ModelLabel(BaseModel):
    """One class, at the place where the model puts it."""

    id: str
    recognised: bool = Field(description="false: this class means that the image is not what the model is for")
    name: _ByLanguage
    advice: _ByLanguage


class ModelCard(BaseModel):
    """A served model; while no worker has it warm, only `name` and `ready` are known."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    name: str
    ready: bool
    version: str = ""
    file: str = ""
    sha256: str = ""
    width_px: int = 0
    height_px: int = 0
    channels: int = 0
    labels: list[ModelLabel] = []
    color_order: str = _one_of(COLOR_ORDERS)
    scale: str = _one_of(SCALES)
    mean: list[float] = Field([], description="by channel, for the scale custom")
    deviation: list[float] = Field([], description="by channel, for the scale custom")
    interpolation: str = _one_of(INTERPOLATIONS)
    antialias: bool = True
    fit: str = _one_of(FITS)
    exif: str = _one_of(EXIF_RULES)
    jpeg_decoder: str = _one_of(JPEG_DECODERS)
    activation: str = _one_of(ACTIVATIONS)
    temperature: float = 1
    diagnosed_at: float = 0
    not_recognised_at: float = 0
    tolerance: float = 0
    description: str = ""
    licence: str = ""
    derived: list[str] = Field([], description="what was read off the model's file")
    assumed: list[str] = Field([], description="what nobody declared and was taken as the default")
    verified: dict[str, Any] = Field({}, description="what comparing it with the framework of its training gave")
    checked: dict[str, Any] = Field({}, description="what checking it on labelled photos gave")
    engine: Literal["openvino", "tensorflow"] = "openvino"
    precision: str = ""
    workers: int = Field(0, description="worker processes that have it warm")


class ModelList(BaseModel):
    """What is served; one model so far."""

    models: list[ModelCard]


class Readiness(BaseModel):
    """Whether everything that a prediction needs answers."""

    ready: bool
    model: str
    checks: dict[str, str] = Field(description="`ok`, or what is wrong, of line, database, images and worker")
