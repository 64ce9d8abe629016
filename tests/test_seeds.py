"""Several seeds: each a run of its own that goes on by itself, none averaged away in the report."""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import enstack
from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import plan_splits
from enstack.errors import CheckpointError, ConfigError, DataError
from enstack.inputs import read_run_data
from enstack.pipeline import run_pipeline
from enstack.reporting.leaderboard import read_leaderboard
from enstack.run_folder import RunFolder
from tests.support.equality import tree_digest
from tests.support.pipeline_runs import changed
from tests.support.training import Killed, kill_after


def trained(config: RunConfig) -> dict[str, str]:
    """All that training left, of every seed."""
    digests = tree_digest(Path(config.run_dir))
    return {name: one for name, one in digests.items() if "base_models/" in name}


def test_every_seeds_figures_and_both_spreads_are_told_and_a_stopped_seed_goes_on(
    finished_run: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = trained(finished_run)
    config = changed(finished_run, seeds=[finished_run.seed, 7])
    with monkeypatch.context() as patched, contextlib.suppress(Killed):
        kill_after(patched, 5)
        run_pipeline(config)
    results = run_pipeline(config)
    assert "2 seeds" in capsys.readouterr().out
    assert {k: v for k, v in trained(config).items() if not k.startswith("seeds/")} == before
    run = RunFolder(results.run_dir)
    own = json.loads(run.of_seed(7).config_file.read_text())
    assert (own["seed"], own["subset_seed"], own["seeds"]) == (7, finished_run.seed, "none")
    seeds = json.loads(run.report_data.read_text())["seeds"]
    assert seeds["seeds"] == [finished_run.seed, 7]
    boards = [
        {row.key: row for row in read_leaderboard(folder.stacking.leaderboard)}
        for folder in (run, run.of_seed(7))
    ]
    for row in seeds["rows"]:
        figures = [board[row["key"]].macro_f1 for board in boards]
        assert [one["macro_f1"] for one in row["figures"]] == pytest.approx(figures)
        assert row["across_seeds"] == pytest.approx(statistics.stdev(figures))
        assert row["test_set"] > 0
    once = tree_digest(Path(config.run_dir))
    run_pipeline(config)
    again = tree_digest(Path(config.run_dir))
    assert {name for name in once if once[name] != again[name]} == {
        "events.jsonl",
        "seeds/7/events.jsonl",
    }
    path = run.of_seed(7).stacking.verdict
    verdict = json.loads(path.read_text())
    assert seeds["verdicts"][1] == {
        "seed": 7,
        "outcome": verdict["outcome"],
        "sentence": verdict["sentence"],
    }
    path.write_text(json.dumps({**verdict, "outcome": "better", "sentence": "Better."}))
    with pytest.raises(CheckpointError, match=r"seeds/7/stacking.*verdict\.json"):
        enstack.report(config.run_dir)


@pytest.mark.slow
def test_models_are_added_under_every_seed_and_a_seed_that_refuses_is_named(
    finished_run: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = changed(finished_run, seeds=[finished_run.seed, 7])
    run_pipeline(config)
    run, data = RunFolder(Path(config.run_dir)), read_run_data(config)
    table = said_of(data)
    table.to_csv(tmp_path / "good.csv", index=False)
    enstack.stack(config.run_dir, {"good": tmp_path / "good.csv"}, unseen=True)
    for folder in (run, run.of_seed(7)):
        assert folder.added() == ["good"]
        assert "base:good" in {row.key for row in read_leaderboard(folder.stacking.leaderboard)}
    seeds = json.loads(run.report_data.read_text())["seeds"]
    assert "base:good" in {row["key"] for row in seeds["rows"]}
    # It was chosen on validation functions that one seed stacks, and the other has chosen on too.
    of_seeds = [
        plan_splits(data, meta_features="holdout", folds=2, seed=seed) for seed in (config.seed, 7)
    ]
    ids = data.splits["validation"].ids
    only_second = set(ids[of_seeds[1].meta_rows]) - set(ids[of_seeds[0].meta_rows])
    other = table.iloc[:, ::-1].assign(seen=table["id"].isin(only_second))
    other[list(data.class_names)] = table[list(data.class_names)[::-1]].to_numpy()
    other.to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(DataError, match=r"^Stacked, but for 1 seed; seed 7: Meta-class"):
        enstack.stack(config.run_dir, {"other": tmp_path / "other.csv"})
    assert (run.added(), run.of_seed(7).added()) == (["good", "other"], ["good"])
    shutil.rmtree(run.of_seed(7).stacking.path)
    capsys.readouterr()
    enstack.stack(config.run_dir)
    assert "Seed 7 is not finished: nothing is stacked again there" in capsys.readouterr().out


def said_of(data: VulnerabilityData) -> pd.DataFrame:
    """What a model trained elsewhere says of validation and test: right of most."""
    parts = []
    for split in ("validation", "test"):
        functions = data.splits[split]
        values = np.full((len(functions), len(data.class_names)), 0.02)
        labels = np.where(np.arange(len(functions)) % 3, functions.labels, 0)
        values[np.arange(len(functions)), labels] += 1 - values.sum(axis=1)
        parts.append(pd.DataFrame(values, columns=list(data.class_names)).assign(id=functions.ids))
    return pd.concat(parts)


def test_the_subset_is_the_same_under_every_seed() -> None:
    (other,) = RunConfig(seeds="3,4", subset=40, run_dir="runs/a").of_other_seeds()
    assert (other.seed, other.data_seed, other.seeds) == (4, 3, "none")
    assert Path(other.run_dir) == Path("runs/a/seeds/4")
    assert RunConfig(seeds=[3, 4]).seed == 3
    assert RunConfig(seeds="none").of_other_seeds() == RunConfig(seeds=5).of_other_seeds() == []
    for values, message in (
        ({"seeds": [3, 4], "seed": 4}, "seeds must begin with seed=4"),
        ({"seeds": [3, 3]}, "or must be different seeds, found"),
        ({"seeds": [-1]}, "seeds must be"),
    ):
        with pytest.raises(ConfigError, match=message):
            RunConfig(**values)
