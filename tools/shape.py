"""The shape of the package in numbers: `python -m tools.shape [CHECKOUT]`.

Of a checkout of any age: rooms at the top, import layers, lengths, comments, and how often a
RunConfig is handed from one file to another on its way through a run.
"""

from __future__ import annotations

import ast
import statistics
import sys
import tomllib
from pathlib import Path


def shape(root: Path) -> dict[str, int | float | str]:
    """Each figure by its name; root: a checkout that holds enstack/ and pyproject.toml."""
    sources = {path: path.read_text(encoding="utf-8") for path in (root / "enstack").rglob("*.py")}
    trees = {path: ast.parse(text) for path, text in sources.items()}
    functions = [
        node.end_lineno - node.lineno + 1
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.end_lineno
    ]
    lines = [line for text in sources.values() for line in text.splitlines() if line.strip()]
    comments = sum(line.lstrip().startswith("#") or "  # " in line for line in lines)
    longest = max(sources, key=lambda path: sources[path].count("\n"))
    return {
        "rooms at the top": len({path.relative_to(root).parts[1] for path in sources}),
        "modules": len(sources),
        "import layers": _layers(root),
        "longest module": f"{longest.relative_to(root)}, {sources[longest].count(chr(10))} lines",
        "modules over 300 lines": sum(text.count("\n") > 300 for text in sources.values()),
        "functions": len(functions),
        "median function, lines": statistics.median(functions),
        "longest function, lines": max(functions),
        "lines": sum(text.count("\n") for text in sources.values()),
        "comments in 100 lines": round(100 * comments / len(lines), 1),
        "moves of a RunConfig on its way through a run": len(_moves(root, trees)),
        "words found and facts": sum(_words(tree) for tree in trees.values()),
        "dict[str, Any]": sum(text.count("dict[str, Any]") for text in sources.values()),
    }


def _layers(root: Path) -> int:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    return next(len(contract["layers"]) for contract in contracts if contract["type"] == "layers")


def _moves(root: Path, trees: dict[Path, ast.Module]) -> set[tuple[Path, str]]:
    """Each file and the function of another file that gets its `config`, from pipeline.py on."""
    every = _hand_overs(trees)
    files, moves = {root / "enstack" / "pipeline.py"}, set[tuple[Path, str]]()
    while reached := {move for move in every if move[0] in files} - moves:
        moves |= reached
        files |= {_file_of(root, function) for _, function in reached}
    return moves


def _file_of(root: Path, function: str) -> Path:
    return root.joinpath(*function.split(".")[:-1]).with_suffix(".py")


def _hand_overs(trees: dict[Path, ast.Module]) -> set[tuple[Path, str]]:
    moves = set()
    for path, tree in trees.items():
        imported = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("enstack")
            for alias in node.names
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            hands_on = any(isinstance(one, ast.Name) and one.id == "config" for one in given)
            if name in imported and hands_on:
                moves.add((path, imported[name]))
    return moves


def _words(tree: ast.Module) -> int:
    """How often a name that says nothing stands in the code."""
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    names += [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    names += [node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)]
    names += [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return sum(name in ("found", "facts") for name in names)


if __name__ == "__main__":
    for what, figure in shape(Path(sys.argv[1] if len(sys.argv) > 1 else ".")).items():
        print(f"{what:46} {figure}")
