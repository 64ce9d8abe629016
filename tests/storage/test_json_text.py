from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import enstack
from enstack.errors import CheckpointError
from enstack.storage.files import append_json_line, read_json, write_json
from enstack.storage.json_text import json_text
from enstack.storage.manifest import MANIFEST, read_manifest, write_manifest

# These write no JSON: a search text, tensors' shapes, a message, a digest, a default in YAML.
NOT_WRITTEN = {
    *("resume.py", "weights.py", "foreign_code.py", "files.py", "template.py"),
    *("json_text.py", "messages.py"),
}
VALUES = st.recursive(
    st.floats() | st.integers() | st.text() | st.none() | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def strictly(text: str) -> Any:
    """The value of a JSON text, read as any other language would."""

    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


@given(VALUES)
def test_any_value_is_written_as_json_that_every_reader_takes(value: Any) -> None:
    assert strictly(json_text({"a": [value]})) is not None


def test_numbers_that_are_not_finite_become_null_in_every_kind_of_file(tmp_path: Path) -> None:
    record = {"a": float("nan"), "b": [np.float32("inf"), 1.5], "c": np.array([np.nan, 2.0])}
    expected = {"a": None, "b": [None, 1.5], "c": [None, 2.0]}
    write_json(tmp_path / "one.json", record)
    append_json_line(tmp_path / "lines.jsonl", record)
    (tmp_path / "folder").mkdir()
    write_manifest(tmp_path / "folder", made_from=record)
    texts = [tmp_path / "one.json", tmp_path / "lines.jsonl", tmp_path / "folder/manifest.json"]
    one, line, manifest = (strictly(path.read_text()) for path in texts)
    assert one == line == manifest["made_from"] == expected
    assert read_manifest(tmp_path / "folder") is not None


def test_nothing_is_written_by_way_of_json_itself() -> None:
    files = sorted(Path(enstack.__file__).parent.rglob("*.py"))
    found = {
        path.name
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("json.dump", "json.dumps")
    }
    assert len(files) > 50
    assert found <= NOT_WRITTEN


# A user's configuration, with its keys once each; a message between processes; a line of data.
READ_ELSEWHERE = {
    *("json_text.py", "config/files.py", "progress/kernel.py", "data/json_lines.py"),
    "parallel/messages.py",  # where a loss of NaN must arrive as it was sent
}


def test_nothing_is_read_by_way_of_json_itself() -> None:
    package = Path(enstack.__file__).parent
    found = {
        path
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("json.load", "json.loads")
    }
    assert [path for path in found if not str(path).endswith(tuple(READ_ELSEWHERE))] == []


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_that_is_nested_without_end_is_damaged_as_any_other(
    opening: str, tmp_path: Path
) -> None:
    for name in ("config.json", MANIFEST):
        (tmp_path / name).write_text(opening * 100_000)
    with pytest.raises(
        CheckpointError, match=r"config\.json must be a readable JSON file: it is n"
    ):
        read_json(tmp_path / "config.json")
    assert read_manifest(tmp_path) is None
