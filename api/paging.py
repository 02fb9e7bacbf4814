"""Lists in pages, newest first: what was found beyond a page says that there is another."""

from collections.abc import Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

ID = "^[0-9a-f]{32}$"


class Identified(Protocol):
    """What a list shows; ids grow with time."""

    @property
    def id(self) -> str: ...  # noqa: D102 - its name says it


T = TypeVar("T", bound=Identified)


class PageQuery(BaseModel):
    """How many, and after which."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, pattern=ID, description="from `next` of the page before")


def cut(response: Response, here: str, query: PageQuery, found: Sequence[T]) -> tuple[Sequence[T], str | None]:
    """The page, and where the next one is, if there is one; `Link` says so, too.

    Args:
        found: one more than the page takes, where there are so many.
    """
    response.headers["Cache-Control"] = "private, no-cache"
    page = found[: query.limit]
    if len(found) <= query.limit:
        return page, None
    said = query.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    following = f"{here}?" + urlencode({**said, "cursor": page[-1].id})
    response.headers["Link"] = f'<{following}>; rel="next"'
    return page, following
