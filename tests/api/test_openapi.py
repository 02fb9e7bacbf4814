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
from tests.api.service import Service
from tests.api.tours import tour
from tests.meta.sources import ROOT
from tests.shared.make import error_classes

Document = dict[str, Any]

OPEN = {"livez", "readyz"}
OPERATIONS = OPEN | {
    "cancel_batch", "cancel_job", "create_batch", "create_job", "create_webhook", "disable_webhook", "enable_webhook",
    "erase_batch", "erase_job", "get_batch", "get_batch_results", "get_batch_results_csv", "get_delivery", "get_job",
    "get_webhook", "get_webhook_secret", "health", "list_deliveries", "list_job_deliveries", "list_jobs", "list_models",
    "list_webhooks", "metrics", "ping_webhook", "predict", "put_job", "redeliver", "redeliver_range", "remove_webhook",
    "retry_job", "rotate_webhook_secret", "watch_job",
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
            reads = method == "get" and not path.startswith("/v1/webhooks")  # their secrets are no reader's business
            assert set(scopes) == {"jobs:read" if reads else "jobs:write"}
        assert all(f"`{scope}`" in operation["description"] for scope in scopes)


def test_who_may_is_what_the_service_asks_for(service: Service, document: Document) -> None:
    del service.client.headers["X-API-Key"]
    for path, method, operation in operations(document):
        names = dict.fromkeys(("job_id", "batch_id", "webhook_id", "delivery_id"), "a")
        asked = service.client.request(method, path.format(**names)).status_code == 401
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


def test_what_the_service_answers_is_what_the_document_says(hooked: Service) -> None:
    service, document = hooked, hooked.client.get("/openapi.json").json()
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
