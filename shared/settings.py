"""Everything that can be configured, in one class; nothing else reads the environment.

`docs/configuration.md` and `.env.example` are generated from it (`make docs`).
"""

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import OperatorError
from shared.jobs import Keep
from shared.limits import usable_cpus
from shared.netguard import parse_networks

_BUCKET = re.compile(r"(s3|gs)://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/[^?#]*)?")

_ADDRESS = re.compile(r"https?://[^\s/@?#]+(/[^\s@?#]*)?")


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
    rate_per_minute: int = Field(
        0, ge=0, description="Requests a minute for each key that has no rate of its own; 0 sets no limit."
    )
    images_per_day: int = Field(
        0, ge=0, description="Images in 24 hours for each key that has no quota of its own; 0 sets no limit."
    )
    state_dir: Path = Field(Path("var"), description="Folder for database, images, model cache and locks.")
    image_store: str = Field(
        "",
        description="Where images lie: a folder, s3://bucket/prefix or gs://bucket/prefix, of this deployment alone, "
        "for what its database does not know is swept; empty means in STATE_DIR.",
    )
    database_url: str = Field("", description="PostgreSQL or SQLite; empty means SQLite in the state folder.")
    redis_url: str = Field("", description="Redis server; empty lets `turno up` start the embedded one.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")

    aws_access_key_id: str = Field(
        "",
        description="For s3://. Empty: the role of the pod, task or machine; AWS_PROFILE and ~/.aws are not read.",
    )
    aws_secret_access_key: SecretStr = Field(SecretStr(""), description="For s3://: the key's secret.")
    aws_session_token: SecretStr = Field(SecretStr(""), description="For s3://, with keys that expire.")
    aws_region: str = Field("", description="For s3://: the bucket's region; else AWS_DEFAULT_REGION, us-east-1.")
    aws_endpoint_url: str = Field("", description="For s3:// elsewhere than at Amazon: http:// or https://….")
    google_application_credentials: str = Field(
        "",
        description="For gs://: file with a service account's key; empty: gcloud's login, else the machine's role.",
    )

    model_path: str = Field(
        "models/leaf-health",
        description="Model folder with card.toml, or a bare .keras, .h5, SavedModel or .tflite; also on s3:// or gs://.",
    )
    labels: str = Field("", description="Without a card: the model's classes in output order, comma-separated.")
    image_width_px: int = Field(0, ge=0, le=8192, description="Without a card; 0 reads it from the model.")
    image_height_px: int = Field(0, ge=0, le=8192, description="Without a card; 0 reads it from the model.")
    model_scale: str = Field(
        "",
        description="Without a card: none, 1/255, -1..1, imagenet, caffe or per-image, as in training; "
        "empty where the model rescales by itself.",
    )
    model_color_order: str = Field(
        "", description="Without a card: RGB or BGR; empty is RGB, but BGR with the scale caffe, as Keras has it."
    )
    model_interpolation: str = Field("bilinear", description="Without a card: the resize filter.")
    model_antialias: bool = Field(True, description="Without a card: false shrinks as tf.image and OpenCV do.")
    model_fit: str = Field("stretch", description="Without a card: stretch, crop or pad (with black).")
    model_exif: str = Field(
        "apply", description="Without a card: apply or ignore the camera's rotation; Keras' own loaders ignore it."
    )
    model_jpeg_decoder: str = Field("pillow", description="Without a card: pillow or tensorflow, as training had it.")
    model_activation: str = Field(
        "", description="Without a card: the outputs are softmax, sigmoid or logits; empty reads it from the model."
    )
    model_allow_pickle: bool = Field(
        False,
        description="Takes .joblib and .pkl files. Opening one runs whatever code its maker put in: "
        "only for files that you made yourself.",
    )
    models_dir: Path = Field(Path("models"), description="Where `turno models` keeps models, a folder for each.")
    engine: Engine = Field(Engine.AUTO, description="auto serves with OpenVINO where it agrees with TensorFlow.")

    upload_max_bytes: int = Field(25_000_000, gt=0, description="Largest upload; phone photos have 1–10 MB.")
    image_max_pixels: int = Field(
        50_000_000,
        gt=0,
        description="Largest image taken; a pixel takes up to 12 bytes while it is decoded.",
    )
    upload_min_bytes_per_second: int = Field(
        1000,
        ge=0,
        description="A body that comes slower, after its first 10 s, or is silent for 30 s, is cut off; 0: after 6 h.",
    )
    batch_files_max: int = Field(500, ge=2, le=5000, description="Most images in one POST /v1/batches.")
    batch_upload_max_bytes: int = Field(1_000_000_000, gt=0, description="Largest POST /v1/batches in all.")
    queue_max: int = Field(
        100_000, ge=1, description="Jobs that may wait, uploads under way included; beyond: 503 queue-full."
    )
    queue_max_age_seconds: float = Field(
        86_400, gt=0, description="While a job has waited for longer than this, submissions get 503 queue-full."
    )
    predict_wait_seconds: float = Field(60, gt=0, le=600, description="How long /predict waits before it answers 503.")
    keep: Keep = Field(
        Keep.FULL,
        description="What is kept of jobs that do not say: full; result (the image goes at the end, its EXIF and GPS "
        "at once); nothing (the result, too, goes an hour after the end).",
    )
    retention_days: float = Field(30, ge=0, description="Images and results are erased this long after; 0 keeps them.")

    webhook_allow_networks: str = Field(
        "",
        description="Private networks, comma-separated, to which webhooks may be sent, there without TLS, too: "
        "10.1.0.0/16, or 127.0.0.0/8,::1/128 for development. Only public addresses by https:// otherwise.",
    )
    webhook_ca_file: Path | None = Field(
        None,
        description="For the courier: PEM file of a private authority, trusted beside the public ones of certifi.",
    )

    worker_concurrency: int = Field(1, ge=1, le=64, description="Worker children: one per vCPU.")
    worker_threads: int = Field(
        0,
        ge=0,
        le=64,
        description="Inference threads of each child; 0: as many as there are CPUs for it, quota and affinity heeded.",
    )
    batch_max: int = Field(32, ge=1, le=256, description="Most jobs taken from the line at once.")
    batch_seconds: float = Field(0.5, gt=0, description="Measured work taken at once: what a newcomer waits behind.")
    batch_timeout_seconds: float = Field(
        120, ge=5, description="A batch that takes longer is hung: its child is killed, its jobs go back."
    )
    lease_seconds: float = Field(30, ge=2, description="A worker silent for this long loses its jobs to others.")
    audit_seconds: float = Field(1, gt=0, description="Pause between the courier's rounds.")
    beat_file: Path | None = Field(
        None, description="File that a worker or courier touches while it is well, for a health check to look at."
    )

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        level = value.upper()
        if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return level

    @field_validator("image_store", "model_path", mode="before")
    @classmethod
    def _path_or_bucket(cls, value: Any) -> str:
        text = str(value)
        if "://" in text and not _BUCKET.fullmatch(text):
            raise ValueError("must be a path, s3://bucket/prefix or gs://bucket/prefix")
        return text.rstrip("/") if is_bucket(text) else text

    @field_validator("webhook_allow_networks")
    @classmethod
    def _private_networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @field_validator("aws_endpoint_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and not _ADDRESS.fullmatch(value):
            raise ValueError("must begin with http:// or https:// and hold no password")
        return value

    @model_validator(mode="after")
    def _share_cpus(self) -> Self:
        # here, so that everybody finds the number that counts
        if not self.worker_threads:
            self.worker_threads = min(64, max(1, usable_cpus() // self.worker_concurrency))
        return self

    @property
    def sql_url(self) -> str:
        """SQLAlchemy's form of the database address."""
        if not self.database_url:
            return f"sqlite:///{self.state_dir.absolute() / 'turno.sqlite'}"
        scheme, _, rest = self.database_url.partition("://")
        return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else self.database_url

    @property
    def images_dir(self) -> Path:
        """Where uploaded images lie, unless in a bucket."""
        return Path(self.image_store) if self.image_store else self.state_dir / "images"

    @property
    def cache_dir(self) -> Path:
        """Where prepared models lie."""
        return self.state_dir / "prepared"


def is_bucket(place: str) -> bool:
    """Whether this names a bucket, and not a path."""
    return place.startswith(("s3://", "gs://"))


def load_settings() -> Settings:
    """The settings of this process, from the environment and `.env`.

    Raises:
        OperatorError: names each value that cannot be used.
    """
    _forget_empty_variables()
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(f"{_named(str(fault['loc'][0]))}: {fault['msg']}" for fault in error.errors())
        raise OperatorError(f"These settings cannot be used: {faults}.") from error


def _forget_empty_variables() -> None:
    """Empty means not set here; obstore, which reads these variables too, would take an empty key for a key."""
    for name, value in list(os.environ.items()):
        if not value and name.startswith(("AWS_", "GOOGLE_")):
            del os.environ[name]


def _named(field: str) -> str:
    return "PORT or UVICORN_PORT" if field == "port" else field.upper()
