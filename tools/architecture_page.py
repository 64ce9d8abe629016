"""docs/architecture.md: one phrase for every file, out of its own docstring, and the layers."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "enstack"
PREAMBLE = """\
# Architecture

<!-- Made by `python -m tools.docs` from docstrings and pyproject.toml: change it there. -->

The folders of the package are the stages of its flow. Each file has one job, and its phrase here
is the first line of its docstring. Settings are in [configuration.md](configuration.md), the
reasons for all this in [decisions.md](decisions.md).

## How data flows

```
functions (id, source, labels) -> label mode -> splits
  -> tokens (input_ids) -> order = f(seed, epoch) -> batch (batch, sequence) int64
  -> trainer -> checkpoint (position = batches and functions completed) -> best_model
  -> probabilities (functions, classes) float32, with ids
  -> meta-features -> meta-classifier -> leaderboard -> report
```

Everything after the base models' probabilities runs on arrays, without torch.

## The package

"""
LAYERS = """
## Layers

Imports point downward, from a line to the lines below it; what stands in one line does not know
its neighbours. `lint-imports` (in `make check`) holds this, and that these never import torch,
transformers or datasets, not even by way of another module: {arrays}.

Only the notebook, and tests, import `enstack.colab`.

"""
FOLDERS = {
    "notebooks": "The numbered cells, which only call the package",
    "tools": "Notebooks in their committed form, pages made from the code, the package in figures",
    "benchmarks": "Ratios against peers measured in the same run",
    "docs": "These pages: how to, decisions, a log of what failed, measured results",
    "tests": "Facts, in the package's folders; each test's name is one",
    "tests/gpu": "What only a GPU can break, apart from all other tests",
    "tests/browser": "The notebook in JupyterLab and Chromium: a harness, and what a user sees",
    "tests/docs": "What holds these pages and the README true",
    "tests/fake_colab": "A stand-in for google.colab: a drive and secrets",
    "tests/support": "What tests share: faults, kills, kernels, small trainings",
    ".ci": "What a clean clone is put through",
}


def architecture_page() -> str:
    """The page, made from module docstrings and the import layers in pyproject.toml."""
    layers, arrays = _contracts()
    return "".join(
        [
            PREAMBLE,
            _block(_package_tree(layers)),
            "\nBeside it:\n\n",
            _block(_columns([(f"{name}/", phrase) for name, phrase in _folders()])),
            LAYERS.format(arrays=", ".join(f"`{name}`" for name in arrays)),
            _block([layer.replace("enstack.", "") for layer in layers]),
        ]
    )


def _contracts() -> tuple[list[str], list[str]]:
    """The layers from top to bottom, and the modules that are kept free of torch."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    arrays = next(c["source_modules"] for c in contracts if c["type"] == "forbidden")
    return layers, [name.removeprefix("enstack.") for name in arrays]


def _package_tree(layers: list[str]) -> list[str]:
    order = [name.strip().removeprefix("enstack.") for line in layers for name in line.split("|")]
    rooms = [path.parent for path in PACKAGE.glob("*/__init__.py")]
    rooms.sort(key=lambda room: (_place(order, room.name), room.name))
    rows = [("enstack/", _phrase(PACKAGE / "__init__.py"))]
    rows += [(f"  {path.name}", _phrase(path)) for path in _files(PACKAGE)]
    for room in rooms:
        rows.append((f"  {room.name}/", _phrase(room / "__init__.py")))
        rows += [(f"    {path.name}", _phrase(path)) for path in _files(room)]
    return _columns(rows)


def _place(order: list[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix in (".py", ".j2") and path.name != "__init__.py"
    )


def _phrase(path: Path) -> str:
    """What a file says of itself first: its docstring's first line, a template's sentence."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".j2":
        comment = text.removeprefix("{#").partition("#}")[0] if text.startswith("{#") else ""
        said = comment.split(". ")[0].strip(" -")
    else:
        said = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    if not said:
        raise ValueError(
            f"{path} must begin with a docstring, or a comment: its first line stands in docs/"
        )
    return said.removesuffix(".")


def _folders() -> list[tuple[str, str]]:
    missing = [name for name in FOLDERS if not (ROOT / name).is_dir()]
    if missing:
        raise ValueError(f"tools/architecture_page.py names {missing}, which are no folders")
    return list(FOLDERS.items())


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows) + 2
    return [f"{name:{width}}{phrase}" for name, phrase in rows]


def _block(lines: list[str]) -> str:
    return "\n".join(["```", *lines, "```", ""])
