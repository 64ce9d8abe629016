"""What the two READMEs and the hand-written pages say is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from enstack.config import RunConfig
from tools.cli_page import command_names
from tools.configuration_page import DEFAULT_RULES, default_of

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
VIETNAMESE = (ROOT / "README.vi.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```\w+\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
PAGES = [
    *(ROOT / name for name in ("README.md", "README.vi.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def code_of(text: str) -> str:
    return "".join(BLOCK.findall(text))


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("text", [README, VIETNAMESE])
def test_the_commands_exist(text: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make (\S+)", code_of(text), flags=re.MULTILINE)
    assert targets
    for target in targets:
        assert f"\n{target}:" in makefile, target
    commands = set(re.findall(r"^enstack ([\w-]+)", code_of(text), flags=re.MULTILINE))
    assert commands
    assert commands <= set(command_names())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(((?!http)[^)#]+)[^)]*\)", text):
        assert (page.parent / link).exists(), link
    for path in re.findall(r"\b(?:tests|enstack|tools|benchmarks)/[\w/]+\.(?:py|j2)\b", text):
        assert (ROOT / path).exists(), path


def test_the_make_targets_that_contributors_are_told_of_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"`make ([\w-]+)", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert {"setup", "check", "test", "docs"} <= set(targets)
    for target in targets:
        assert f"\n{target}:" in makefile, target


def test_both_languages_have_the_same_sections_commands_and_code() -> None:
    english, vietnamese = (re.findall(r"^(#+) ", t, re.MULTILINE) for t in (README, VIETNAMESE))
    assert english == vietnamese
    comment = re.compile(r" *#.*$", flags=re.MULTILINE)
    assert comment.sub("", code_of(README)) == comment.sub("", code_of(VIETNAMESE))


def test_the_vietnamese_headings_are_vietnamese() -> None:
    english, vietnamese = (
        set(re.findall(r"^##+ (.+)", text, flags=re.MULTILINE)) for text in (README, VIETNAMESE)
    )
    assert not english & vietnamese


def test_the_vietnamese_table_has_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", VIETNAMESE, flags=re.MULTILINE)
    assert [key for key, _ in rows] == list(RunConfig.model_fields)
    for key, default in rows:
        if key not in DEFAULT_RULES:
            assert default == default_of(key), key
        for code in re.findall(r"`[^`]+`", DEFAULT_RULES.get(key, "")):
            assert code in default, key
