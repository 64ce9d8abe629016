"""Stored probabilities of another run are refused by name; those older than digests are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from enstack.config import RunConfig
from enstack.errors import CheckpointError
from enstack.pipeline import run_pipeline
from enstack.run_folder import RunFolder
from enstack.storage.manifest import read_manifest, write_manifest

DIGESTS = ("data", "tokenizer", "configuration", "weights")


def rewrite(folder: Path, split: str, made_from: Any) -> None:
    """A file of probabilities with another origin, in a folder whose manifest vouches for it."""
    with np.load(folder / f"{split}.npz") as stored:
        arrays = dict(stored)
    np.savez(folder / f"{split}.npz", **{**arrays, "made_from": np.array(made_from)})
    manifest = read_manifest(folder) or {}
    write_manifest(folder, **{key: manifest[key] for key in manifest if key != "files"})


def origin(folder: Path, split: str) -> dict[str, Any]:
    with np.load(folder / f"{split}.npz") as stored:
        return dict(json.loads(str(stored["made_from"])))


def test_probabilities_name_the_digests_of_all_that_they_were_made_from(
    finished_run: RunConfig,
) -> None:
    base_model = RunFolder(Path(finished_run.run_dir)).base_model("micro")
    identity = (read_manifest(base_model.best_model) or {})["made_from"]
    found = origin(base_model.probabilities, "test")
    assert found["data"] == identity["data"]
    assert found["tokenizer"] == identity["tokenizer"]
    assert found["weights"] == [base_model.best_model_digest()]
    assert {len(found["configuration"]), len(found["seen_ids"][0])} == {64}


@pytest.mark.parametrize("name", DIGESTS)
def test_a_file_of_another_run_is_refused_though_its_manifest_vouches_for_it(
    finished_run: RunConfig, name: str
) -> None:
    folder = RunFolder(Path(finished_run.run_dir)).base_model("micro").probabilities
    other = {**origin(folder, "validation"), name: ["f" * 64] if name == "weights" else "f" * 64}
    rewrite(folder, "validation", json.dumps(other))
    with pytest.raises(
        CheckpointError, match=rf"1 of 2 files .*\n  micro/valid.*: {name} f{{12}},"
    ):
        run_pipeline(finished_run)


def test_files_that_are_older_than_digests_are_stacked_and_told(
    finished_run: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run_pipeline(finished_run).leaderboard
    folder = RunFolder(Path(finished_run.run_dir)).base_model("micro").probabilities
    for split in ("validation", "test"):
        rewrite(folder, split, "0" * 64)
    again = run_pipeline(finished_run).leaderboard
    pd.testing.assert_frame_equal(again, first)
    assert "micro: probabilities that name no digests of their own" in capsys.readouterr().out
