"""Chromium and the stub; every page that a test opens must stay free of errors, CSP reports and outside requests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.page.stub import Stub, running_stub

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 15_000  # what a busy machine may take; a passing test waits for what it sees, not for this
EXAMPLES = Path(__file__).resolve().parents[2] / "api" / "static" / "examples"

OpenPage = Callable[..., Page]


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Playwright without its own browsers."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A real Chromium; missing, it skips at home and fails in CI."""
    if not CHROMIUM.exists():
        assert not os.environ.get("CI"), f"{CHROMIUM} is missing"
        pytest.skip(f"{CHROMIUM} is missing")
    browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def stub_server() -> Iterator[Stub]:
    """The stub's process-wide server."""
    with running_stub() as stub:
        yield stub


@pytest.fixture
def stub(stub_server: Stub) -> Stub:
    """The stub as if just started."""
    stub_server.reset()
    return stub_server


@pytest.fixture
def open_page(browser: Browser, stub: Stub) -> Iterator[OpenPage]:
    """Open the page in a browser of its own; options are those of a browser context, and `base_url`."""
    contexts: list[Any] = []
    faults: list[str] = []

    def open_in_new_browser(base_url: str = "", **options: Any) -> Page:
        base = base_url or stub.url
        context = browser.new_context(**{"locale": "en-GB", "base_url": base} | options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        watch(page, base, faults)
        page.goto("/")
        return page

    yield open_in_new_browser
    for context in contexts:
        context.close()
    assert faults == []


def watch(page: Page, base_url: str, faults: list[str]) -> None:
    """Collect script errors, CSP reports and requests to anywhere else."""
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation',"
        " (event) => console.error('CSP ' + event.violatedDirective + ' ' + event.blockedURI))"
    )
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    page.on(
        "console",
        # a refused request is logged by the browser itself; whether it was right is for the test to say
        lambda line: faults.append(line.text) if line.type == "error" and "Failed to load" not in line.text else None,
    )
    page.on(
        "request",
        lambda request: (
            faults.append(f"outside: {request.url}")
            if not request.url.startswith((base_url, "blob:", "data:"))
            else None
        ),
    )
