"""A count with its noun, in one form for one and in another for more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import enstack
from enstack.counting import counted, joined

# What a run or a command may well have one of. Numbers in errors about damage are left alone.
NOUN = re.compile(r"^ (?:base |test |optimizer )?(?:functions|epochs|batches|models|steps|pairs)\b")
# What the contract words for any number, and what is never one.
AS_THEY_ARE = (
    "⏭️  Resuming: will skip",
    "every {} steps",
    "of {} functions of {} tokens",
    "▶ Data: {} functions",
    "at least {} functions",
    "about {} batches were accumulated",
    "nobody has trained {} batches",
    "AdamW has counted {} steps",
    "those of {} of {} {} functions",
    "of fewer than {} test functions",
    "Holm's p heeds that there are {} pairs",
)


@pytest.mark.parametrize(
    ("n", "words", "text"),
    [
        (0, ("function",), "0 functions"),
        (1, ("function",), "1 function"),
        (1270, ("batch",), "1,270 batches"),
        (2, ("epoch",), "2 epochs"),
        (2, ("class",), "2 classes"),
        (2, ("base model",), "2 base models"),
        (2, ("copy",), "2 copies"),
        (2, ("day",), "2 days"),
        (1, ("function has", "functions have"), "1 function has"),
        (3, ("function has", "functions have"), "3 functions have"),
    ],
)
def test_a_noun_has_the_form_that_fits_its_number(n: int, words: tuple[str], text: str) -> None:
    assert counted(n, *words) == text


def test_parts_are_joined_as_people_write_them() -> None:
    assert [joined(["a", "b", "c"][:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_no_text_of_the_package_has_a_plural_behind_a_number_that_may_be_one() -> None:
    package = Path(enstack.__file__).parent
    found = [f"{path.name}: {text}" for path in package.rglob("*.py") for text in _plurals(path)]
    assert found == []


def _plurals(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            pieces = [str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values]
            text = "".join(pieces)
            if any(map(NOUN.match, pieces)) and not any(known in text for known in AS_THEY_ARE):
                yield text
