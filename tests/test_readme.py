"""What the README says is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from enstack.config import RunConfig

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
VIETNAMESE = (ROOT / "README.vi.md").read_text()


def test_the_tree_names_every_file_of_the_package_and_no_other() -> None:
    tree = README.split("## Where things are")[1].split("```")[1]
    named = set(re.findall(r"^  (\S+\.(?:py|j2)) +\S", tree, flags=re.MULTILINE))
    present = {p.name for p in (ROOT / "enstack").iterdir() if p.suffix in (".py", ".j2")}
    assert named == present - {"__init__.py"}
    for folder in re.findall(r"^(\w+)/ ", tree, flags=re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder


def test_every_setting_is_in_the_table_with_its_default() -> None:
    rows = {}
    for line in README.splitlines():
        if line.startswith("| `"):
            keys, defaults = (cell.strip() for cell in line.split("|")[1:3])
            names = re.findall(r"`(\w+)`", keys)
            values = [v.strip().strip("`") for v in defaults.split(",")]
            rows.update(
                zip(names, values if len(names) > 1 else [defaults.strip("`")], strict=True)
            )
    assert set(rows) | {"folds"} == set(RunConfig.model_fields)
    for key in ("epochs", "batch_size", "seed", "max_length", "save_steps", "keep_checkpoints"):
        assert rows[key] == str(getattr(RunConfig(), key)), key
    assert float(rows["learning_rate"]) == RunConfig().learning_rate


@pytest.mark.parametrize("text", [README, VIETNAMESE])
def test_the_commands_exist(text: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", text, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile, target
    usage = subprocess.run(
        [sys.executable, "-m", "enstack", "--help"], capture_output=True, text=True, check=True
    ).stdout
    commands = set(re.findall(r"^enstack (\w+)", text, flags=re.MULTILINE))
    assert commands
    for command in commands:
        assert re.search(rf"\b{command}\b", usage), command


def test_links_to_files_lead_somewhere() -> None:
    for text in (README, VIETNAMESE):
        for link in re.findall(r"\]\(((?!http)[^)#]+)\)", text):
            assert (ROOT / link).exists(), link


def test_both_languages_have_the_same_sections_and_commands() -> None:
    for pattern in (r"^(#+) ", r"^((?:make|enstack) [^#\n]*)"):
        english, vietnamese = (
            [found.strip() for found in re.findall(pattern, text, flags=re.MULTILINE)]
            for text in (README, VIETNAMESE)
        )
        assert english == vietnamese
