"""What is shipped, and what is said about it, agree."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path

import yaml

import enstack

ROOT = Path(__file__).parent.parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")


def test_what_is_not_python_is_shipped_with_its_room() -> None:
    package = ROOT / "enstack"
    files = [*package.rglob("*.j2"), package / "py.typed"]
    rooms = {".".join(path.relative_to(ROOT).parent.parts) for path in files}
    assert rooms == set(SETUP["options.package_data"])


def test_every_folder_with_code_is_a_package() -> None:
    for path in (ROOT / "enstack").rglob("*.py"):
        assert (path.parent / "__init__.py").exists(), path


def test_the_oldest_python_is_the_same_everywhere() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        tools = tomllib.load(file)["tool"]
    oldest = SETUP["options"]["python_requires"].removeprefix(">=")
    assert tools["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    assert tools["mypy"]["python_version"] == oldest
    for name in ("README.md", "README.vi.md", "CONTRIBUTING.md"):
        assert f"Python {oldest}" in (ROOT / name).read_text(encoding="utf-8"), name


def test_what_is_cited_is_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == enstack.__version__
    assert (citation["title"], citation["license"]) == ("enstack", SETUP["metadata"]["license"])
    assert citation["repository-code"] == SETUP["metadata"]["url"]


def test_requirements_are_lower_bounds_so_that_colabs_own_torch_is_kept() -> None:
    extras = "\n".join(SETUP["options.extras_require"].values())
    for text in ((ROOT / "requirements.txt").read_text(encoding="utf-8"), extras):
        for line in filter(None, text.splitlines()):
            assert re.fullmatch(r"[\w-]+(\[\w+\])?(>=[\d.]+)?", line), line
