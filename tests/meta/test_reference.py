"""The pages that are made from code agree with it."""

from tests.meta.sources import ROOT
from turno.reference import errors_page, with_diagram


def test_the_architecture_page_draws_the_moves_that_the_code_allows() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert "running --> succeeded: succeed" in page
    assert with_diagram(page) == page, "run `make docs`"


def test_the_errors_page_lists_every_code() -> None:
    assert (ROOT / "docs" / "errors.md").read_text(encoding="utf-8") == errors_page(), "run `make docs`"
