"""Several processes train what one trains: the same functions, gradients and losses."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enstack.checkpoints import state_file
from enstack.config import RunConfig
from enstack.errors import ConfigError, Interrupted
from enstack.models.base_models import load_classifier
from enstack.models.hardware import Hardware
from enstack.models.predict import predict_probabilities
from enstack.parallel.group import ALONE, Group, acting_in
from enstack.progress.stopping import StopAfter, StopRequest
from enstack.training.job import TrainingJob
from enstack.training.optimizer import ScheduledOptimizer
from enstack.training.stage import require_base_models
from enstack.training.trainer import train_base_model
from tests.support.micro import training_data_of
from tests.support.processes import led
from tests.support.training import no_log, train_config

Steps = list[torch.Tensor]


@pytest.fixture
def flags_parts(parts: Any, toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same base model on the label task of several flags."""
    from enstack.data.functions import read_data

    model, tokenizer, _ = parts
    flags = read_data(toy_folder, label_mode="multilabel")
    cache = tmp_path_factory.getbasetemp() / "flags-tokens"
    return model, tokenizer, training_data_of(flags, tokenizer, cache)


@pytest.fixture
def without_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads share the random generator, processes do not: only without draws are they alike."""
    train = torch.nn.Module.train
    monkeypatch.setattr(torch.nn.Module, "train", lambda self, mode=True: train(self, False))


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> dict[ScheduledOptimizer, Steps]:
    """The gradient of each step, as one vector, by each process's optimizer."""
    found: dict[ScheduledOptimizer, Steps] = {}
    original = ScheduledOptimizer.step

    def noted(self: ScheduledOptimizer) -> Any:
        flat = [p.grad.flatten() for p in self.parameters if p.grad is not None]
        found.setdefault(self, []).append(torch.cat(flat).double())
        return original(self)

    monkeypatch.setattr(ScheduledOptimizer, "step", noted)
    return found


def train(
    parts: Any, config: RunConfig, group: Group = ALONE, stop: StopRequest | None = None
) -> None:
    hardware = Hardware(torch.device("cpu"), config.precision, 0, group)
    job = TrainingJob(*parts, config, hardware, Path(config.run_dir), no_log)
    train_base_model(job, stops=lambda: nullcontext(stop or StopRequest()))


def losses(config: RunConfig) -> list[float]:
    lines = (Path(config.run_dir) / "history.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [one["train_loss"] if one["event"] == "epoch" else one["loss"] for one in records]


# 42 functions: batches of 16 end in one of 10, those of 41 in one of 1, with none for the others.
@pytest.mark.parametrize(("batch_size", "accumulation"), [(16, 1), (4, 3), (41, 1)])
@pytest.mark.parametrize("label_mode", ["cwe_or_clean", "multilabel"])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.usefixtures("without_dropout")
def test_every_step_has_the_gradient_and_loss_of_one_process(
    parts: Any,
    flags_parts: Any,
    tmp_path: Path,
    gradients: dict[ScheduledOptimizer, Steps],
    label_mode: str,
    size: int,
    batch_size: int,
    accumulation: int,
) -> None:
    data = parts if label_mode == "cwe_or_clean" else flags_parts
    settings = {
        "epochs": 1,
        "label_mode": label_mode,
        "class_weights": "balanced",
        "batch_size": batch_size,
        "accumulation_steps": accumulation,
        # So small that the weights stay: what is compared is each gradient, not their sums.
        "learning_rate": 1e-30,
    }
    one, many = (train_config(tmp_path / name, **settings) for name in ("one", "many"))
    train(data, one)
    led(size, lambda group: train(data, many, group))
    alone, *others = gradients.values()
    assert len(others) == size
    for steps in others:
        assert len(steps) == len(alone)
        for ours, theirs in zip(steps, alone, strict=True):
            assert float(ours.norm() / theirs.norm()) == pytest.approx(1, abs=1e-6)
            # Each number is a sum of up to 41 float32 that nearly cancel each other.
            assert float((ours - theirs).norm() / theirs.norm()) < 5e-6
    assert losses(many) == pytest.approx(losses(one), rel=1e-6)


@pytest.mark.usefixtures("without_dropout")
def test_a_training_goes_on_in_another_number_of_processes_and_says_so(
    parts: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unbroken, moved = (train_config(tmp_path / name, epochs=2) for name in ("one", "moved"))
    train(parts, unbroken)
    with pytest.raises(Interrupted):
        led(2, lambda group: train(parts, moved, group, StopAfter(5)))
    assert state_file.read_state(Path(moved.run_dir) / "last_checkpoint")["processes"] == 2
    with pytest.raises(Interrupted):
        led(3, lambda group: train(parts, moved, group, StopAfter(5)))
    train(parts, moved)
    said = capsys.readouterr().out
    assert "Saved by 2 processes, gone on with by 3" in said
    assert "Saved by 3 processes, gone on with by 1" in said
    assert losses(moved) == pytest.approx(losses(unbroken), rel=1e-5)


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("rows", [20, 5])
def test_predictions_of_several_processes_are_those_of_one_to_the_last_bit(
    parts: Any, tmp_path: Path, rows: int, final: bool
) -> None:
    """In batches of 4: 3 processes take 5 batches in two rounds, or 2 batches in one."""
    model, tokenizer, data = parts
    classifiers = [load_classifier(model, data.class_names, seed=seed) for seed in (1, 2)]
    examples = data.selection.take(np.arange(rows))

    def predict(group: Group, place: int) -> np.ndarray:
        return predict_probabilities(
            classifiers[place],
            examples,
            Hardware(torch.device("cpu"), "fp32", 0, group),
            batch_size=4,
            pad_token_id=tokenizer.pad_token_id,
            title="Predicting",
            stop=StopRequest(),
            final=final,
        )

    # More than once: what was said the first time is not said again.
    places, told = [0, 1, 0, 0, 1], list[str]()

    def predict_all(group: Group) -> list[np.ndarray]:
        tell = group.tell
        group.tell = lambda value: (told.append(value["do"]), tell(value))  # type: ignore[method-assign]
        return [predict(group, place) for place in places]

    for said, place in zip(led(3, predict_all), places, strict=True):
        np.testing.assert_array_equal(said, predict(ALONE, place))
    # The weights of what nobody trains any more are sent once.
    assert told.count("model") == (2 if final else 5)


def test_more_processes_than_a_batch_has_functions_are_refused(tmp_path: Path) -> None:
    config = train_config(tmp_path, batch_size=2)

    class Three(Group):
        size = 3

    with (
        acting_in(Three()),
        pytest.raises(ConfigError, match=r"at least their number, found 2 for 3 processes"),
    ):
        require_base_models([], None, None, config, None)  # type: ignore[arg-type]
