"""What is shipped, and what is said about it, agree."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import tomllib
from pathlib import Path

import yaml

import enstack

ROOT = Path(__file__).parent.parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def test_what_is_not_python_is_shipped_with_its_room() -> None:
    package = ROOT / "enstack"
    files = [*package.rglob("*.j2"), *package.rglob("*.csv"), package / "py.typed"]
    rooms = {".".join(path.relative_to(ROOT).parent.parts) for path in files}
    assert rooms == set(SETUP["options.package_data"])


def test_every_folder_with_code_is_a_package() -> None:
    for path in (ROOT / "enstack").rglob("*.py"):
        assert (path.parent / "__init__.py").exists(), path


MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text(encoding="utf-8"))
PYTHONS = re.findall(r"^PYTHONS := (.+)$", MAKEFILE, re.MULTILINE)[0].split()


def test_the_pythons_are_the_same_everywhere() -> None:
    oldest = PYTHONS[0]
    with (ROOT / "pyproject.toml").open("rb") as file:
        tools = tomllib.load(file)["tool"]
    assert tools["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    assert tools["mypy"]["python_version"] == oldest
    assert SETUP["options"]["python_requires"] == f">={oldest}"
    named = re.findall(r"Python :: (3\.\d+)$", SETUP["metadata"]["classifiers"], re.MULTILINE)
    assert named == PYTHONS
    assert WORKFLOW["jobs"]["check"]["strategy"]["matrix"]["python"] == PYTHONS
    every = r"Python (3\.\d+, 3\.\d+ (?:or|hoặc) 3\.\d+)"
    for name in ("README.md", "README.vi.md", "CONTRIBUTING.md"):
        found = re.findall(every, (ROOT / name).read_text(encoding="utf-8"))
        assert [re.findall(r"3\.\d+", listed) for listed in found] == [PYTHONS], name


def test_no_page_names_a_python_that_is_not_checked() -> None:
    pages = [ROOT / "README.md", ROOT / "README.vi.md", ROOT / "CONTRIBUTING.md"]
    for page in [*pages, *sorted((ROOT / "docs").glob("*.md"))]:
        named = set(re.findall(r"Python (3\.\d+)", page.read_text(encoding="utf-8")))
        assert named <= set(PYTHONS), page.name


def test_colabs_lane_takes_colabs_python_and_torch() -> None:
    pins = (ROOT / "constraints-colab.txt").read_text(encoding="utf-8")
    colab, torch = re.findall(r"Colab has Python (3\.\d+)\S* and torch (\d+\.\d+\.\d+)", pins)[0]
    assert f"\ntorch=={torch}\n" in pins
    assert f"\nCOLAB_PYTHON ?= python{colab}\n" in MAKEFILE
    steps = WORKFLOW["jobs"]["colab"]["steps"]
    assert {step["with"].get("python-version") for step in steps if "with" in step} == {colab, None}


def test_the_workflow_runs_make_targets_alone_and_installs_as_they_do() -> None:
    commands = [
        step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step
    ]
    made = [
        target
        for command in commands
        if command.startswith("make ")
        for target in command.split()[1:]
    ]
    assert {"check", "test-colab", "test-notebook", "check-pythons"} <= set(made)
    assert all(f"\n{target}:" in MAKEFILE for target in made)
    assert {command for command in commands if not command.startswith("make ")} == {
        "pip install uv"
    }
    environment = {**os.environ, **WORKFLOW["env"]}
    command = ["make", "--dry-run", "--always-make", "setup"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    asked = (
        "uv pip install --python .venv/bin/python --editable '.[dev]' --constraint constraints.txt"
    )
    assert asked in done.stdout


def test_every_tool_that_make_check_calls_is_pinned() -> None:
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in PINS if "==" in line}
    extras = "\n".join(SETUP["options.extras_require"].values())
    asked = {re.split(r"[\[>]", line)[0].lower() for line in extras.split()}
    assert asked - pinned == set()


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
