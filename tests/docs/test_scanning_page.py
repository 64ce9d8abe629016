"""What docs/scanning.md offers for others' repositories is in a form that is taken there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import check_jsonschema
import pre_commit.main
import pytest
import yaml
from click import testing

from enstack import api
from tests.support.command_line import enstack_here

PAGE = Path(__file__).parent.parent.parent / "docs" / "scanning.md"
WORKFLOW, HOOKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_workflow_is_one_by_githubs_schema(tmp_path: Path) -> None:
    (tmp_path / "enstack.yml").write_text(WORKFLOW)
    command = ["--builtin-schema", "vendor.github-workflows", str(tmp_path / "enstack.yml")]
    found = testing.CliRunner().invoke(check_jsonschema.main, command)
    assert found.exit_code == 0, found.output


def test_the_hooks_are_some_that_pre_commit_takes(tmp_path: Path) -> None:
    (tmp_path / "hooks.yaml").write_text(HOOKS)
    assert pre_commit.main.main(["validate-config", str(tmp_path / "hooks.yaml")]) == 0


class Asked(Exception):  # noqa: N818 # no error
    """What a command asks to be scanned."""


def test_the_commands_in_both_scan_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan(paths: list[str], model: str, **asked: Any) -> None:
        raise Asked(paths, model, asked["diff"])

    monkeypatch.setattr(api, "scan", scan)
    monkeypatch.chdir(tmp_path)
    steps = yaml.safe_load(WORKFLOW)["jobs"]["scan"]["steps"]
    (step,) = [one["run"] for one in steps if "enstack scan" in one.get("run", "")]
    step = step.replace('${BASE:+--diff "origin/$BASE"}', "--diff origin/main")
    (hook,) = yaml.safe_load(HOOKS)["repos"][0]["hooks"]
    with pytest.raises(Asked) as asked:
        enstack_here(*shlex.split(step)[1:])
    assert asked.value.args == (["src"], "model", "origin/main")
    with pytest.raises(Asked) as asked:
        enstack_here(*shlex.split(f"{hook['entry']} a.c b.c")[1:])
    assert asked.value.args == (["a.c", "b.c"], "enstack_runs/vdisc", "HEAD")
