"""Times as callers say them."""

from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator


def _a_date(value: object) -> object:
    # else a number, or the text of one, would pass for seconds since 1970
    if not isinstance(value, str) or not value[:5].endswith("-"):
        raise ValueError("must be a date and a time with its zone, as 2026-11-22T08:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_a_date)]
