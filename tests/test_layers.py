"""The shape of the code: what imports what, and how long things are."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "enstack"
WITHOUT_TORCH = (
    "errors", "config", "files", "readers", "data", "splits", "metrics", "baselines", "stacking",
    "leaderboard", "figures", "report", "lexer", "sketches", "duplicates", "overlap", "audit",
    "audit_table", "audit_figures", "audit_page",
)  # fmt: skip


def test_every_module_has_its_place_in_the_layers() -> None:
    layers = (PACKAGE.parent / "pyproject.toml").read_text()
    for path in PACKAGE.glob("*.py"):
        if path.stem != "__init__":
            assert f"enstack.{path.stem}" in layers, path.stem


def test_modules_of_arrays_import_no_torch_even_indirectly() -> None:
    imports = "; ".join(f"import enstack.{name}" for name in WITHOUT_TORCH)
    code = f"{imports}; import sys; sys.exit(bool({{'torch', 'transformers'}} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def functions() -> list[tuple[str, int]]:
    found = []
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                found.append((f"{path.stem}.{node.name}", node.end_lineno - node.lineno + 1))
    return found


def test_functions_are_small() -> None:
    lengths = [length for _, length in functions()]
    assert statistics.median(lengths) <= 12
    assert [name for name, length in functions() if length > 60] == []


@pytest.mark.parametrize("word", ["utils", "helper", "manager", "handler"])
def test_no_module_has_a_name_that_says_nothing(word: str) -> None:
    assert not [path for path in PACKAGE.glob("*.py") if word in path.stem]
