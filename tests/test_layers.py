"""The shape of the code: what imports what, and how long things are."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "enstack"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
LAYERS, WITHOUT_TORCH = CONTRACTS
# They load it when a function must be judged: of a tree that has not changed, none must.
JUDGE_WITHOUT_TORCH = ("enstack.scanning", "enstack.bundle.opening", "enstack.cli.scan_command")
MODULES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_every_room_has_its_place_in_the_layers() -> None:
    placed = {name for layer in LAYERS["layers"] for name in re.split(r" [|:] ", layer)}
    rooms = {
        module_name(path)
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert placed == rooms - {"enstack.__init__", "enstack"}
    assert len(LAYERS["layers"]) <= 12


def test_modules_of_arrays_import_no_torch_even_indirectly() -> None:
    names = [
        name
        for name in map(module_name, MODULES)
        if name.startswith((*WITHOUT_TORCH["source_modules"], *JUDGE_WITHOUT_TORCH))
    ]
    assert len(names) > 30
    imports = "; ".join(f"import {name}" for name in names)
    code = f"{imports}; import sys; sys.exit(bool({{'torch', 'transformers'}} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def functions() -> list[tuple[str, int]]:
    found = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                length = node.end_lineno - node.lineno + 1  # type: ignore[operator]
                found.append((f"{module_name(path)}.{node.name}", length))
    return found


def test_functions_are_small() -> None:
    lengths = [length for _, length in functions()]
    assert len(lengths) > 500
    assert statistics.median(lengths) <= 10
    assert [name for name, length in functions() if length > 60] == []


def test_modules_are_short() -> None:
    assert [module_name(path) for path in MODULES if len(path.read_text().splitlines()) > 300] == []


@pytest.mark.parametrize("word", ["utils", "helper", "manager", "handler"])
def test_no_module_has_a_name_that_says_nothing(word: str) -> None:
    assert len(MODULES) > 80
    assert not [path for path in MODULES if word in path.stem]


def test_what_tests_share_stands_in_support_and_no_test_file_imports_another() -> None:
    files = [path for path in (ROOT / "tests").rglob("*.py") if path.parent.name != "browser"]
    assert len(files) > 50
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            if module and module.startswith("tests"):
                assert module.startswith("tests.support."), f"{path} imports {module}"
