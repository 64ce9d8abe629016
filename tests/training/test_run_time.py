"""What out-of-fold features cost is told before anything is trained, less what is done already."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData
from enstack.models.base_models import BaseModel
from enstack.run_folder import RunFolder
from enstack.training.epoch_time import BatchCost
from enstack.training.run_plan import tell_plan
from enstack.training.run_time import ModelTime, Work, price_of_folds
from tests.support.training import train_config


def taking(folds: float, total: float) -> ModelTime:
    return ModelTime("a", Work(1, 1, 1, 1, 1), 1.0, folds, total, BatchCost(0.0, 1.0, 1.0))


def test_the_price_of_folds_is_told_in_trainings_hours_and_sessions() -> None:
    config = RunConfig(meta_features="out_of_fold", folds=5)
    told = price_of_folds([taking(4 * 3600, 5 * 3600)] * 3, config)
    assert "5 more trainings of each of 3 base models, on 4 of 5 parts of train each" in told
    assert "about 12 h 0 min of 15 h 0 min in all from here, 2 sessions of 12 h" in told


def test_a_fold_that_is_finished_costs_no_more(
    tmp_path: Path,
    toy_folder: Path,
    toy_data: VulnerabilityData,
    micro_model: BaseModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    def measure(*_: object, **__: object) -> BatchCost:
        return BatchCost(each=100.0, per_token=0.0, per_token_predicted=0.0)

    monkeypatch.setattr("enstack.training.run_time.measure_batch", measure)
    config = train_config(
        tmp_path / "run",
        data_dir=str(toy_folder),
        base_models=[micro_model.location],
        meta_features="out_of_fold",
        folds=3,
    )
    run = RunFolder(tmp_path / "run")
    fold = run.base_model(micro_model.name).path / "folds" / "1"
    price = {}
    for done in (0, config.epochs):
        if done:
            fold.mkdir(parents=True)
            (fold / "history.jsonl").write_text(json.dumps({"event": "epoch", "epoch": done}))
        tell_plan([micro_model], toy_data, config, run)
        (price[done],) = re.findall(r"each: about (.*?) of", capsys.readouterr().out)
    # 28 of 42 functions a fold, in batches of 4 that take 100 s: 7 each, in 3 epochs.
    assert price == {0: "1 h 45 min", config.epochs: "1 h 10 min"}
