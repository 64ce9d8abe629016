"""One Vietnamese term for each of the field's words, on the page and in the guides."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from enstack.reporting.two_languages import CATALOG

REPOSITORY = Path(__file__).resolve().parents[2]
GUIDE = REPOSITORY / "docs" / "guide.vi.md"
PAGES = sorted([REPOSITORY / "README.vi.md", *(REPOSITORY / "docs").rglob("*.vi.md")])
STORED: dict[str, Any] = yaml.safe_load(
    resources.files("enstack.reporting").joinpath(CATALOG).read_text(encoding="utf-8")
)
TERMS: list[dict[str, Any]] = STORED["terms"]


def plain(text: str) -> str:
    """Words in small letters, without tags, places and turns of lines."""
    return " ".join(re.sub(r"<[^>]*>|\{\w+\}", " ", text).lower().split())


def said_without(term: dict[str, Any]) -> list[str]:
    """The English forms that have a term whose Vietnamese does not."""
    word = re.compile(rf"\b{re.escape(term['en'])}(s|es)?\b")
    return [
        entry["en"]
        for entry in STORED["translations"]
        if word.search(plain(entry["en"])) and term["vi"] not in plain(entry["vi"])
    ]


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term["en"])
def test_where_the_english_has_a_term_the_vietnamese_has_its_own(term: dict[str, Any]) -> None:
    assert said_without(term) == []


@pytest.mark.parametrize("page", [None, *PAGES], ids=lambda page: page.name if page else CATALOG)
def test_no_other_word_stands_for_a_term(page: Path | None) -> None:
    if page is None:
        text = plain(" ".join(entry["vi"] for entry in STORED["translations"]))
    else:
        text = plain(page.read_text(encoding="utf-8"))
    assert [word for term in TERMS for word in term["never"] if word in text] == []


def test_the_guide_lists_the_terms() -> None:
    listed = re.findall(r"^\| ([a-z -]+) \| ([^|]+) \|$", GUIDE.read_text(encoding="utf-8"), re.M)
    assert [(term["en"], term["vi"]) for term in TERMS] == listed
