"""Everything that can be configured, in one class; nothing else reads the environment.

`docs/configuration.md` and `.env.example` are generated from it (`make docs`).
"""

from enum import StrEnum
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import OperatorError


class Engine(StrEnum):
    """What may run the model."""

    AUTO = "auto"
    OPENVINO = "openvino"
    TENSORFLOW = "tensorflow"


class Settings(BaseSettings):
    """Names are the environment's in lower case; units stand in the names."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="Address to listen on; anything but loopback needs an API key.")
    port: int = Field(
        8000,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("port", "uvicorn_port"),
        description="Port to listen on; UVICORN_PORT is read when PORT is not set.",
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        description="One key or several, comma-separated, each at least 32 characters; removing one revokes it.",
    )
    state_dir: Path = Field(Path("var"), description="Folder for database, images, model cache and locks.")
    database_url: str = Field("", description="PostgreSQL or SQLite; empty means SQLite in the state folder.")
    redis_url: str = Field("", description="Redis server; empty lets `turno up` start the embedded one.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")

    model_path: Path = Field(
        Path("models/leaf-health"), description="Model folder with card.toml, or a bare .keras, .h5 or SavedModel."
    )
    labels: str = Field("", description="For a model without a card: its classes in output order, comma-separated.")
    image_width_px: int = Field(0, ge=0, le=8192, description="For a model without a card; 0 reads it from the model.")
    image_height_px: int = Field(0, ge=0, le=8192, description="For a model without a card; 0 reads it from the model.")
    model_scale: str = Field(
        "", description="For a model without a card: none, 1/255, -1..1, imagenet or caffe, as in training."
    )
    model_interpolation: str = Field("bilinear", description="For a model without a card: the resize filter.")
    engine: Engine = Field(Engine.AUTO, description="auto serves with OpenVINO where it agrees with TensorFlow.")

    upload_max_bytes: int = Field(25_000_000, gt=0, description="Largest upload; phone photos have 1–10 MB.")
    image_max_pixels: int = Field(
        50_000_000,
        gt=0,
        description="Largest image taken; a pixel takes up to 12 bytes while it is decoded.",
    )
    predict_wait_seconds: float = Field(60, gt=0, le=600, description="How long /predict waits before it answers 503.")
    retention_days: float = Field(30, ge=0, description="Images and results are erased this long after; 0 keeps them.")

    worker_concurrency: int = Field(1, ge=1, le=64, description="Worker children: one per vCPU.")
    worker_threads: int = Field(1, ge=1, le=64, description="Inference threads of each child.")
    batch_max: int = Field(16, ge=1, le=256, description="Most jobs taken from the line at once.")
    batch_seconds: float = Field(0.5, gt=0, description="Measured work taken at once: what a newcomer waits behind.")
    batch_timeout_seconds: float = Field(
        120, ge=5, description="A batch that takes longer is hung: its child is killed, its jobs go back."
    )
    lease_seconds: float = Field(30, ge=2, description="A worker silent for this long loses its jobs to others.")
    audit_seconds: float = Field(1, gt=0, description="Pause between the courier's rounds.")

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        level = value.upper()
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return level

    @property
    def sql_url(self) -> str:
        """SQLAlchemy's form of the database address."""
        if not self.database_url:
            return f"sqlite:///{self.state_dir.absolute() / 'turno.sqlite'}"
        scheme, _, rest = self.database_url.partition("://")
        return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else self.database_url

    @property
    def images_dir(self) -> Path:
        """Where uploaded images lie."""
        return self.state_dir / "images"

    @property
    def cache_dir(self) -> Path:
        """Where prepared models lie."""
        return self.state_dir / "prepared"


def load_settings() -> Settings:
    """The settings of this process, from the environment and `.env`.

    Raises:
        OperatorError: names each value that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(f"{_named(str(fault['loc'][0]))}: {fault['msg']}" for fault in error.errors())
        raise OperatorError(f"These settings cannot be used: {faults}.") from error


def _named(field: str) -> str:
    return "PORT or UVICORN_PORT" if field == "port" else field.upper()
