"""The OpenAPI document is valid, complete, and true."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi.routing import APIRoute, iter_route_contexts
from jsonschema_rs import Draft202012Validator

from api.problems import MEDIA_TYPE, STATUS
from shared.errors import OperatorError, TurnoError
from shared.jobs import Outcome
from tests.api.service import Service
from tests.meta.sources import ROOT
from tests.photos import jpeg
from tests.shared.make import claim, error_classes, finish

Document = dict[str, Any]

OPEN = {"livez", "readyz"}
OPERATIONS = OPEN | {
    "cancel_batch", "cancel_job", "create_batch", "create_job", "erase_batch", "erase_job", "get_batch",
    "get_batch_results", "get_batch_results_csv", "get_job", "health", "list_jobs", "list_models", "metrics", "predict",
    "put_job", "retry_job", "watch_job",
}  # fmt: skip
OF_EVERY_ADDRESS = {"unknown-route", "method-refused"}
CODES = {kind.code for kind in error_classes() if kind is TurnoError or not kind.__subclasses__()}


@pytest.fixture
def document(service: Service) -> Document:
    """The document as it is served."""
    return dict(service.client.get("/openapi.json").json())


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Every method of every path."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def validator(document: Document, schema: Document) -> Draft202012Validator:
    """For one schema, with what it refers to."""
    return Draft202012Validator({**schema, "components": document["components"]}, validate_formats=True)


def codes_of(operation: Document) -> set[str]:
    """The codes that stand at an operation."""
    responses = operation["responses"].values()
    return {code for one in responses for code in one.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})}


def test_the_document_is_valid_openapi(document: Document) -> None:
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()


def test_every_route_of_the_application_is_in_the_document(service: Service, document: Document) -> None:
    routes = [one.original_route for one in iter_route_contexts(service.app.routes)]
    shown = [route for route in routes if isinstance(route, APIRoute) and route.include_in_schema]
    assert len(shown) == len(OPERATIONS)
    hidden = {route.path for route in routes if isinstance(route, APIRoute) and not route.include_in_schema}
    assert hidden <= {"/", "/predict/", "/livez", "/readyz"}  # the page, an old spelling, and HEAD
    found = {operation["operationId"] for _, _, operation in operations(document)}
    assert found == OPERATIONS


def test_every_operation_tells_what_it_is_and_who_may(document: Document) -> None:
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}
    for path, method, operation in operations(document):
        assert operation["summary"], path
        assert set(operation["tags"]) <= tags
        if operation["operationId"] in OPEN:
            assert operation["security"] == []
            continue
        scopes = [scope for one in operation["security"] for names in one.values() for scope in names]
        assert (
            set().union(*operation["security"])
            == {"ApiKey", "Bearer"}
            == set(document["components"]["securitySchemes"])
        )
        if path.startswith("/v1/") and path != "/v1/models":
            assert set(scopes) == {"jobs:read" if method == "get" else "jobs:write"}
        assert all(f"`{scope}`" in operation["description"] for scope in scopes)


def test_who_may_is_what_the_service_asks_for(service: Service, document: Document) -> None:
    del service.client.headers["X-API-Key"]
    for path, method, operation in operations(document):
        asked = service.client.request(method, path.format(job_id="a", batch_id="b")).status_code == 401
        assert asked == bool(operation["security"]), path
        assert asked == ("401" in operation["responses"])


def test_every_error_is_a_problem_and_nothing_else(document: Document) -> None:
    for path, _, operation in operations(document):
        for status, response in operation["responses"].items():
            if status >= "400" and (path, status) not in {("/readyz", "503"), ("/health", "503")}:
                (content,) = response["content"].items()
                assert content[0] == MEDIA_TYPE, path
                assert content[1]["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert content[1]["examples"]
            if status in ("429", "503") and set(response["content"]) == {MEDIA_TYPE}:
                assert "Retry-After" in response["headers"]


def test_every_code_stands_at_a_route_and_on_the_errors_page(document: Document) -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    at_routes = {code for _, _, operation in operations(document) for code in codes_of(operation)}
    assert at_routes == CODES - OF_EVERY_ADDRESS
    assert all(f"`{code}`" in document["info"]["description"] for code in OF_EVERY_ADDRESS)
    assert [code for code in CODES if f"| `{code}` |" not in page] == []
    assert not issubclass(OperatorError, TurnoError)  # the only one that no caller ever sees


def test_every_code_stands_under_its_status(document: Document) -> None:
    statuses = {kind.code: str(status) for kind, status in STATUS.items()}
    for _, _, operation in operations(document):
        for status, response in operation["responses"].items():
            for code, example in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}).items():
                assert statuses[code] == status == str(example["value"]["status"])


def test_every_example_fits_its_schema(document: Document) -> None:
    seen = 0
    for path, _, operation in operations(document):
        for status, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                assert content["examples"], (path, status, kind)
                for example in content["examples"].values():
                    validator(document, content["schema"]).validate(example["value"])
                    seen += 1
    assert seen > 150


def test_what_the_service_answers_is_what_the_document_says(service: Service, document: Document) -> None:
    seen: set[tuple[str, str]] = set()
    patterns = [
        (method, re.compile(re.sub(r"\{\w+\}", "[^/]+", re.escape(path).replace(r"\{", "{").replace(r"\}", "}"))), one)
        for path, method, one in operations(document)
    ]

    def compare(answer: httpx.Response) -> None:
        answer.read()
        method, path = answer.request.method.lower(), answer.request.url.path
        (operation,) = [one for known, pattern, one in patterns if known == method and pattern.fullmatch(path)]
        response = operation["responses"][str(answer.status_code)]
        for name, header in response["headers"].items():
            described = document["components"]["headers"][header["$ref"].rpartition("/")[2]] if "$ref" in header else {}
            assert name in answer.headers or not described.get("required"), f"{path}: {name}"
        if content := response.get("content"):
            kind = answer.headers["content-type"].partition(";")[0]
            body = answer.json() if kind.endswith("json") else answer.text
            validator(document, content[kind]["schema"]).validate(body)
            if kind == MEDIA_TYPE:
                assert body["code"] in content[kind]["examples"]
        else:
            assert not answer.content
        seen.add((operation["operationId"], str(answer.status_code)))

    service.client.event_hooks["response"].append(compare)
    tour(service, document)
    assert {operation for operation, _ in seen} == OPERATIONS
    assert len(seen) > 40


def tour(service: Service, document: Document) -> None:
    """Asks every route for its answers, good and bad."""
    client, ask = service.client, service.client.get
    (example,) = document["paths"]["/v1/jobs"]["post"]["responses"]["200"]["content"]["application/json"][
        "examples"
    ].values()
    result = {**example["value"]["result"], "stages_ms": {"decoded": 1.0, "inferred": 2.0}}

    def end(job_id: str) -> None:
        finish(service.database, *(Outcome(one, result) for one in claim(service.database, job_id)))

    for path in ("/livez", "/readyz", "/health", "/metrics", "/v1/models", "/v1/jobs", "/v1/jobs?limit=0"):
        ask(path)
    key = {"Idempotency-Key": "leaf-1"}
    first = service.submit(jpeg(), **key, Prefer="respond-async").json()
    service.submit(jpeg(), **key)
    service.submit(jpeg(color=(200, 0, 0)), **key)
    here = first["urls"]["self"]
    ask(here, headers={"If-None-Match": ask(here).headers["ETag"]})
    end(first["id"])
    service.submit(jpeg(), **key)
    ask(here)
    watched = ask(first["urls"]["events"])
    ask(first["urls"]["events"], headers={"Last-Event-ID": watched.text.rpartition("id: ")[2].strip()})
    client.post(first["urls"]["cancel"])
    client.post(first["urls"]["retry"])
    other = client.put("/v1/jobs/plot-7", content=jpeg(), headers={"Content-Type": "image/jpeg"}).json()
    client.post("/v1/jobs/plot-7/cancel")
    client.post("/v1/jobs/plot-7/retry")
    finish(
        service.database,
        *(Outcome(one, None, "image-missing", "Gone.") for one in claim(service.database, other["id"])),
    )
    client.delete("/v1/jobs/plot-7")
    for path in ("/v1/jobs/plot-7", "/v1/jobs/plot-7/events", "/v1/jobs/unknown", "/v1/jobs/unknown/events"):
        ask(path)
    for refused in (b"GIF89a", b"", jpeg()[:-200]):
        service.submit(refused)
    client.post("/v1/jobs", data={"colour": "green"}, files={"file": jpeg()})
    client.post("/v1/jobs?model=other", content=jpeg())
    service.submit(jpeg())
    ask("/v1/jobs?limit=1")
    client.post("/predict", files={"file": jpeg()}, headers={"X-API-Key": "wrong"})
    client.post("/predict", data={"priority": "first"}, files={"file": jpeg()})
    _tour_of_batches(service, end)


def _tour_of_batches(service: Service, end: Any) -> None:
    client, ask = service.client, service.client.get
    files = [("files", ("leaf.jpg", jpeg())), ("files", ("README.md", b"no image")), ("files", ("b.jpg", jpeg()))]
    batch = client.post("/v1/batches", files=files, headers={"Idempotency-Key": "b"}).json()
    client.post("/v1/batches", files=files, headers={"Idempotency-Key": "b"})
    client.post("/v1/batches", files=files[:1], headers={"Idempotency-Key": "b"})
    client.post("/v1/batches", files=files[1:2])
    client.post("/v1/batches", content=b"no form")
    end(batch["jobs"][0]["id"])
    for url in batch["urls"].values():
        client.post(url) if url.endswith("cancel") else ask(url)
    ask(batch["urls"]["results"])
    for path in (batch["urls"]["self"], "/v1/batches/unknown"):
        client.delete(path)
        ask(path)
        ask(f"{path}/results")
        ask(f"{path}/results.csv")
        client.post(f"{path}/cancel")
    ask(batch["urls"]["jobs"])
