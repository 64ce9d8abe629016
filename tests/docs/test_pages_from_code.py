"""The pages that are made from the code say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from enstack.config import RunConfig
from tools import architecture_page, cli_page, configuration_page, docs

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "enstack"


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_the_pages_in_the_repository_are_those_that_the_code_makes() -> None:
    assert not docs.outdated(docs.FOLDER), "run `python -m tools.docs`"


def test_a_page_that_differs_is_named_and_the_check_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in docs.PAGES:
        (tmp_path / name).write_text(page(name), encoding="utf-8")
    (tmp_path / "cli.md").write_text(page("cli.md") + "more\n", encoding="utf-8")
    monkeypatch.setattr(docs, "FOLDER", tmp_path)
    assert docs.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "docs/cli.md differs from the code: run `python -m tools.docs`"
    ]
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0


def test_every_setting_has_a_row_with_its_default_and_its_meaning() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.+?) \| .+ \| (.+) \|$", page("configuration.md"), flags=re.MULTILINE
    )
    assert [key for key, _, _ in rows] == list(RunConfig.model_fields)
    for key, default, meaning in rows:
        assert meaning == RunConfig.model_fields[key].description
        value = getattr(RunConfig(), key)
        if key not in configuration_page.DEFAULT_RULES and isinstance(value, int | float):
            assert float(default.strip("`").replace("true", "1").replace("false", "0")) == value


def test_bounds_and_choices_of_a_setting_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Two(BaseModel):
        share: float = Field(0.5, gt=0, lt=1, description="A share")
        parts: int = Field(3, ge=2, le=9, description="Parts")

    monkeypatch.setattr(configuration_page, "RunConfig", Two)
    assert configuration_page.settings_rows() == [
        "| `share` | `0.5` | number above 0, below 1 | A share |",
        "| `parts` | `3` | whole number at least 2, at most 9 | Parts |",
    ]


def test_every_file_of_the_package_is_named_once_in_its_folder() -> None:
    tree = page("architecture.md").split("## The package")[1].split("```")[1]
    folder, named = "", []
    for line in tree.strip("\n").splitlines()[1:]:
        name = line.split()[0]
        if name.endswith("/"):
            folder = name
        else:
            named.append(folder + name if line.startswith("    ") else name)
        assert len(line.split()) > 1, name
    present = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.suffix in (".py", ".j2") and path.name != "__init__.py"
    }
    assert len(named) == len(set(named))
    assert set(named) == present


def test_a_file_without_a_docstring_is_refused(tmp_path: Path) -> None:
    (tmp_path / "silent.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match=r"silent\.py must begin with a docstring"):
        architecture_page._phrase(tmp_path / "silent.py")


def test_every_command_has_its_usage_options_and_help() -> None:
    text = page("cli.md")
    assert [f"enstack {name}" for name in cli_page.command_names()] == re.findall(
        r"^## (enstack \S+)$", text, flags=re.MULTILINE
    )
    assert "enstack audit DATA [--json] [--output PATH] [--tokenizer TEXT]..." in text
    assert "enstack verify-resume [CONFIG] [KEY=VALUE]... [--seed NUMBER]" in text
    assert "| `--run-dir PATH` | `enstack_runs/demo` | Where results live. |" in text
    assert "| 4 | A checkpoint or a run folder is wrong. |" in text
