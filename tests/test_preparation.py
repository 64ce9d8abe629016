"""What is prepared on one machine is brought to another, which then tokenizes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from enstack.config import RunConfig
from enstack.data.packed_caches import KINDS, bring_caches
from enstack.models import tokens
from enstack.models.flops import Shape, flops_of_token
from enstack.pipeline import run_pipeline
from enstack.planning.estimate import gpu_hours
from enstack.preparation import Prepared, prepare
from tests.support.command_line import enstack_here, refused
from tests.support.equality import same, training_outcome, tree_digest
from tests.support.pipeline_runs import changed

ROBERTA_BASE = Shape(12, 768, 3072)


@pytest.fixture
def prepared(config: RunConfig, tmp_path: Path) -> tuple[RunConfig, Prepared]:
    """Prepared on a machine that is gone; the settings of the next one."""
    there = changed(config, local_dir=str(tmp_path / "there"))
    made = prepare(there)
    shutil.rmtree(there.local_dir)
    return changed(config, local_dir=str(tmp_path / "here")), made


def refuse_to_tokenize(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows by each title under which something is tokenized from now on."""
    titles: list[str] = []
    original = tokens._write_cache

    def noted(*args: Any) -> None:
        titles.append(args[-1])
        original(*args)

    monkeypatch.setattr(tokens, "_write_cache", noted)
    return titles


def test_a_prepared_run_tokenizes_nothing_and_ends_as_another(
    prepared: tuple[RunConfig, Prepared],
    config: RunConfig,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here, made = prepared
    assert made.bytes > 0
    tokenized = refuse_to_tokenize(monkeypatch)
    run_pipeline(here)
    assert tokenized == []
    assert f"of caches brought from {made.folder}" in capsys.readouterr().out
    unprepared = changed(config, run_dir=f"{config.run_dir}-unprepared")
    run_pipeline(unprepared)
    names = [Path(one.run_dir) / "base_models" for one in (here, unprepared)]
    ends = [training_outcome(next(folder.iterdir())) for folder in names]
    assert same(*ends)


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "manifest"])
def test_what_is_damaged_is_said_and_made_anew(
    prepared: tuple[RunConfig, Prepared],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    here, made = prepared
    path = sorted(made.folder.glob(f"tokens/*/{tokens.TOKENS_FILE}"))[0]
    content = bytearray(path.read_bytes())
    if damage == "manifest":
        path.with_name("manifest.json").write_text("{}")
    elif damage == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "flipped" else content[:-9])
    tokenized = refuse_to_tokenize(monkeypatch)
    run_pipeline(here)
    assert len(tokenized) == 1
    said = capsys.readouterr().out
    assert f"{path.parent} can't be used" in said
    assert "it is made anew when needed" in said


def test_what_a_preparation_of_other_settings_left_is_replaced(
    config: RunConfig, tmp_path: Path
) -> None:
    prepare(config)
    folder = Path(config.run_dir) / "prepared"
    before = {path.name for path in folder.glob("tokens/*")}
    (folder / "tokens" / "mine.txt").write_text("a user's")
    prepare(changed(config, max_length=16))
    after = {path.name for path in folder.glob("tokens/*")}
    assert after & before == set()
    assert "mine.txt" in after


def test_nothing_that_is_there_already_is_read_again(
    prepared: tuple[RunConfig, Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, made = prepared
    bring_caches(made.folder, Path(here.local_dir))
    brought = tree_digest(Path(here.local_dir))
    monkeypatch.setattr("enstack.data.packed_caches._copy", None)
    bring_caches(made.folder, Path(here.local_dir))
    assert tree_digest(Path(here.local_dir)) == brought
    assert {path.name for path in Path(here.local_dir).iterdir()} <= {*KINDS}


def test_a_prepared_folder_is_no_begun_run(prepared: tuple[RunConfig, Prepared]) -> None:
    here, _ = prepared
    # Other settings may still be chosen: nothing was recorded.
    assert sorted(path.name for path in Path(here.run_dir).iterdir()) == ["prepared"]
    run_pipeline(changed(here, learning_rate=1e-4, resume=False))


def test_the_command_prints_the_plan_and_refuses_what_a_run_refuses(
    config: RunConfig, tmp_path: Path
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps(config.model_dump(mode="json")))
    told = json.loads(enstack_here("prepare", file, "--json").stdout)
    (model,) = told["models"]
    # Two epochs of 42 functions of at most 32 tokens.
    assert model["functions"] == 84
    assert 84 * 8 < model["padded_tokens"] <= 84 * 32
    assert "T4" in enstack_here("prepare", file).stdout
    refused(enstack_here("prepare", file, "data_dir=nowhere"), 3, "nowhere")


def test_hours_are_those_of_the_published_arithmetic() -> None:
    # 85 million weights beside the embeddings, two operations each.
    assert flops_of_token(ROBERTA_BASE, 0) == pytest.approx(2 * 85e6, rel=0.002)
    hours = gpu_hours(ROBERTA_BASE, width=273, trained_tokens=273 * 174 * 3600, predicted_tokens=0)
    assert hours["T4"] == pytest.approx(1, rel=0.02)
