"""Write notebooks in their one committed form, or check that they have it.

python -m tools.notebooks            # write: outputs go, keys are sorted, metadata is cleaned
python -m tools.notebooks --check    # say what differs or breaks a rule; exit status 1 if any
"""

from __future__ import annotations

import ast
import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
METADATA = {"accelerator", "colab", "kernelspec", "language_info"}
CELL_METADATA = {"cellView": "form"}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LONGEST = 12  # lines of a code cell, beside its fields and their notes
FORBIDDEN = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.For, ast.AsyncFor, ast.While, ast.Try),
)
NUMBER = r"-?[\d.]+"
FIELD = re.compile(
    r"^[A-Z_]+ = .+ #@param ("
    r'\{type:"(string|boolean|integer|number|raw)"\}'
    rf'|\{{type:"slider", min:{NUMBER}, max:{NUMBER}, step:{NUMBER}\}}'
    # A list of choices: texts, or with raw numbers.
    r'|\[.+\]( \{(type:"raw"|allow-input: true|type:"raw", allow-input: true)\})?)$'
)

Notebook = dict[str, Any]


def canonical(notebook: Notebook) -> str:
    """A notebook as it is committed: stripped, with the allowed metadata only, as text."""
    cells = [_canonical_cell(cell) for cell in notebook["cells"]]
    kept = {key: notebook["metadata"][key] for key in METADATA & notebook["metadata"].keys()}
    metadata = {**kept, "kernelspec": KERNEL, "language_info": {"name": "python"}}
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _canonical_cell(cell: Notebook) -> Notebook:
    source = "".join(cell["source"]).rstrip("\n")
    kept: Notebook = {
        "cell_type": cell["cell_type"],
        "id": cell.get("id") or _id_of(source),
        "metadata": {},
        "source": source.splitlines(keepends=True),
    }
    if cell["cell_type"] == "code":
        kept |= {"metadata": CELL_METADATA, "outputs": [], "execution_count": None}
    return kept


def _id_of(source: str) -> str:
    """A new cell is called by its first line: "#@title 3. Hardware" gives hardware."""
    words = re.findall(r"[a-z]+", source.splitlines()[0].removeprefix("#@title").lower())
    return "-".join(words[:4]) or "cell"


def faults(notebook: Notebook) -> list[str]:
    """The rules that a canonical notebook breaks, one sentence each."""
    found = []
    ids = [cell["id"] for cell in notebook["cells"]]
    if len(set(ids)) < len(ids):
        found.append(f"every cell needs an id of its own, found {ids}")
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            found += [f"cell {cell['id']} {fault}" for fault in _cell_faults(cell)]
    return found


def _cell_faults(cell: Notebook) -> list[str]:
    lines = "".join(cell["source"]).splitlines()
    tree = python(cell)
    found = []
    if not lines[0].startswith("#@title "):
        found.append("must begin with #@title")
    code = [line for line in lines if "#@param" not in line and not line.startswith("#@markdown")]
    if len(code) > LONGEST:
        found.append(f"must have at most {LONGEST} lines, it has {len(code)}")
    if any(isinstance(node, FORBIDDEN) for node in ast.walk(tree)):
        found.append("must only call: no def, class, lambda, for, while or try")
    if any(str(name).split(".")[0] == "google" for name in _imported(tree)):
        found.append("must leave google.colab to the package")
    fields = [(before, line) for before, line in pairwise(lines) if "#@param" in line]
    found += [f"has a field without a type: {line}" for _, line in fields if not FIELD.match(line)]
    if not found:
        found += [
            f"has a field without a note: {line}"
            for before, line in fields
            if not before.startswith("#@markdown") or before.startswith("#@markdown #")
        ]
    return found


def _imported(tree: ast.Module) -> list[str | None]:
    names: list[str | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module)
    return names


def python(cell: Notebook) -> ast.Module:
    """A code cell's syntax tree, its shell lines left out."""
    source = re.sub(r"^(\s*)[!%].*$", r"\1pass", "".join(cell["source"]), flags=re.MULTILINE)
    return ast.parse(source)


def main(arguments: list[str]) -> int:
    """Write or check every notebook; the number of notebooks with faults, at most 1."""
    bad = False
    for path in sorted(FOLDER.glob("*.ipynb")):
        text = path.read_text(encoding="utf-8")
        wanted = canonical(json.loads(text))
        nbformat.validate(json.loads(wanted))
        told = faults(json.loads(wanted))
        if "--check" in arguments and text != wanted:
            told.append("is not in its committed form: run `python -m tools.notebooks`")
        elif text != wanted:
            path.write_text(wanted, encoding="utf-8")
            print(f"{path.name}: written anew")
        for fault in told:
            print(f"{path.name}: {fault}")
        bad = bad or bool(told)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
