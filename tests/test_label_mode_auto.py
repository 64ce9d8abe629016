"""label_mode=auto in a run: what it became is what the run records, and goes on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enstack.config import RunConfig
from enstack.errors import CheckpointError
from enstack.pipeline import run_pipeline
from tests.support.pipeline_runs import changed

NEW_KEYS = ("layout", "text_column", "label_column", "min_functions_per_cwe", "split_by")


def test_a_run_from_before_auto_goes_on_without_training_anything(
    pipeline_settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {**pipeline_settings, "label_mode": "cwe", "epochs": 1, "run_dir": str(tmp_path / "r")}
    run_pipeline(RunConfig(**named))
    # As it was written when there was no such setting.
    file = tmp_path / "r/config.json"
    settings = {k: v for k, v in json.loads(file.read_text()).items() if k not in NEW_KEYS}
    del settings["label_mode"]
    file.write_text(json.dumps(settings))
    before = (tmp_path / "r/base_models/micro/best_model/manifest.json").read_bytes()
    capsys.readouterr()
    run_pipeline(RunConfig(**{key: value for key, value in named.items() if key != "label_mode"}))
    assert "✓ micro: finished before" in capsys.readouterr().out
    assert json.loads(file.read_text())["label_mode"] == "cwe"
    assert (tmp_path / "r/base_models/micro/best_model/manifest.json").read_bytes() == before


def test_auto_that_became_another_mode_is_refused_by_name(finished_run: RunConfig) -> None:
    with pytest.raises(CheckpointError, match="label_mode=cwe_or_clean, asked for is label_mode=c"):
        run_pipeline(changed(finished_run, label_mode="auto"))
