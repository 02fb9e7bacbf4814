"""Jobs in a list, fetched page by page as they are asked for."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from turno.client.answers import Job
from turno.client.transport import Call, Transport

_PAGE_JOBS = 200


def list_jobs(transport: Transport, wanted: Mapping[str, str | datetime | None]) -> Iterator[Job]:
    """The caller's jobs, newest first, as far as they are `wanted`."""
    given = {name: value for name, value in wanted.items() if value is not None}
    params = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()}
    query = params | {"limit": str(_PAGE_JOBS)}
    while True:
        answer = transport.send(Call("GET", "/v1/jobs", params=query))
        page, onward = transport.read(
            answer, lambda document: ([Job.read(one) for one in document["jobs"]], document.get("next"))
        )
        yield from page
        if not onward:
            return
        query = dict(parse_qsl(urlsplit(onward).query))  # the query alone: nothing leads to another origin
