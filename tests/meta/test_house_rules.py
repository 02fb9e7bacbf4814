"""Rules that no linter knows."""

import ast
import sys
from pathlib import Path

import pytest

from tests.meta.sources import PRODUCT, ROOT, imported, name, python_files, tree

_EVERYWHERE = python_files(*PRODUCT, "tests", "bench")
_PRODUCT = python_files(*PRODUCT)
# the supervisor hands its environment on to what it starts; TensorFlow can be told some things in no other way
_MAY_READ_THE_ENVIRONMENT = {"shared/settings.py", "turno/alone.py", "turno/up.py", "worker/engines/tensorflow.py"}


@pytest.mark.parametrize("path", _EVERYWHERE, ids=name)
def test_no_file_has_more_than_250_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250


@pytest.mark.parametrize("path", _PRODUCT, ids=name)
def test_no_function_has_more_than_50_lines(path: Path) -> None:
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno + 1 > 50]
    assert long == []


@pytest.mark.parametrize("path", _PRODUCT, ids=name)
def test_nothing_prints(path: Path) -> None:
    calls = [node.lineno for node in ast.walk(tree(path)) if isinstance(node, ast.Name) and node.id == "print"]
    assert calls == []


@pytest.mark.parametrize("path", [path for path in _PRODUCT if name(path) not in _MAY_READ_THE_ENVIRONMENT], ids=name)
def test_nothing_but_the_settings_reads_the_environment(path: Path) -> None:
    readers = {"environ", "environb", "getenv"}
    found = [
        node.lineno
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and node.attr in readers)
        or (isinstance(node, ast.alias) and node.name in readers)
    ]
    assert found == []


@pytest.mark.parametrize("module", ["jobs.py", "card*.py", "errors/*.py"])
def test_what_everything_is_about_needs_the_standard_library_alone(module: str) -> None:
    files = list((ROOT / "shared").glob(module))
    assert files
    for found in (found for file in files for found in imported(file)):
        top = found.partition(".")[0]
        assert top in sys.stdlib_module_names or found.startswith(("shared.errors", "shared.card")), found


def test_tensorflow_is_imported_by_its_engine_and_by_the_readers_of_models() -> None:
    found = {
        name(path) for path in _PRODUCT if any(module.partition(".")[0] == "tensorflow" for module in imported(path))
    }
    assert {one for one in found if not one.startswith("worker/readers/")} == {"worker/engines/tensorflow.py"}


def test_the_readme_is_short() -> None:
    readme = ROOT / "README.md"
    assert len(readme.read_text(encoding="utf-8").splitlines()) <= 200
