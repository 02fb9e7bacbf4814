"""Buckets of S3, or of what speaks its language, and of Google Cloud Storage: how they are opened, how they fail."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from obstore.exceptions import BaseError
from obstore.store import GCSStore, S3Store

from shared.errors import OperatorError
from shared.settings import Settings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, GCSConfig, ObjectStore, RetryConfig, S3Config

BUCKET_FAULTS = (BaseError, FileNotFoundError)  # the latter also where the bucket itself is missing

_CODE = re.compile(r"<Code>(\w{1,100})</Code>")


def open_bucket(url: str, settings: Settings) -> "ObjectStore":
    """What lies under `s3://bucket/prefix` or `gs://bucket/prefix`; nothing is asked of it yet.

    Raises:
        OperatorError: the credentials or the endpoint in the settings cannot be used.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    client: ClientConfig = {
        "connect_timeout": timedelta(seconds=3),
        "timeout": timedelta(seconds=60),  # for a whole image, over a slow line
        "allow_http": settings.aws_endpoint_url.startswith("http://"),
    }
    retry: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
    given = _gs_config(settings) if scheme == "gs" else _s3_config(settings)
    # what is empty is left out, so that obstore looks for it: in its own variables, then at the machine's role
    config = {name: value for name, value in given.items() if value}
    try:
        if scheme == "gs":
            gs = cast("GCSConfig", config)
            return GCSStore(bucket, prefix=prefix, config=gs, client_options=client, retry_config=retry)
        s3 = cast("S3Config", config)
        return S3Store(bucket, prefix=prefix, config=s3, client_options=client, retry_config=retry)
    except (BaseError, ValueError, OSError) as error:
        raise OperatorError(
            f"{url} cannot be opened ({reason_of(error)}): check the settings that begin with AWS_ or GOOGLE_."
        ) from error


def reason_of(error: Exception) -> str:
    """The service's own word for a fault, else the first line of what is known."""
    code = _CODE.search(str(error))
    return code[1] if code else (str(error).splitlines() or [type(error).__name__])[0][:300]


def _s3_config(settings: Settings) -> dict[str, str]:
    return {
        "access_key_id": settings.aws_access_key_id,
        "secret_access_key": settings.aws_secret_access_key.get_secret_value(),
        "session_token": settings.aws_session_token.get_secret_value(),
        "region": settings.aws_region,
        "endpoint": settings.aws_endpoint_url,
    }


def _gs_config(settings: Settings) -> dict[str, str]:
    return {"application_credentials": settings.google_application_credentials}
