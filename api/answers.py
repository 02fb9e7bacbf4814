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

from shared.cards import ACTIVATIONS, COLOR_ORDERS, EXIF_RULES, INTERPOLATIONS, SCALES

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

    kind: Literal["diagnosed", "uncertain", "not_recognised"]
    label: str = Field(alias="class", description="the most probable class")
    probability: Probability = Field(description="calibrated")
    threshold: Probability = Field(description="the probability from which the verdict is `diagnosed`")
    reason: str = Field(description="a sentence for people, in English")
    name: _ByLanguage
    advice: _ByLanguage


class Receipt(BaseModel):
    """Which model gave a result."""

    name: str
    version: str
    sha256: str = Field(description="digest of the model file")
    engine: Literal["openvino", "tensorflow"]
    precision: str


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

    filename: str | None
    predictions: list[float] = Field(description="the model's own numbers, in the order of its labels")
    predicted_class: str = Field(description="the label with the largest of them")
    confidence: float = Field(description="that number; `verdict.probability` is the calibrated one")
    probabilities: dict[str, float] = Field(description="the same numbers by label")
    verdict: Verdict
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
    interpolation: str = _one_of(INTERPOLATIONS)
    exif: str = _one_of(EXIF_RULES)
    activation: str = _one_of(ACTIVATIONS)
    temperature: float = 1
    diagnosed_at: float = 0
    tolerance: float = 0
    description: str = ""
    licence: str = ""
    assumed: list[str] = Field([], description="what nobody declared and was taken as the default")
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
