"""The gradient of a step is that of all its functions in one batch, however they are cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from transformers.models.roberta.modeling_roberta import RobertaIntermediate

from enstack.batches import EpochBatches
from enstack.checkpoints import state_file
from enstack.data.functions import VulnerabilityData, read_data
from enstack.errors import CheckpointError, Interrupted
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.models.loader import make_loader
from enstack.training.loss import LOSSES, TaskLoss
from enstack.training.optimizer import ScheduledOptimizer
from enstack.training.resume import start_or_resume
from enstack.training.step import Step, train_batch
from enstack.training.trainer import train_base_model
from tests.support.micro import training_data_of
from tests.support.training import job_of, run_training, train_config

# Batches of 42 functions that one step takes: the last one is short.
CUTS = {2: 32, 3: 16, 4: 11}


@pytest.fixture
def parts_of(
    parts: Any, toy_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Base model, tokenizer and data of each label task."""
    model, tokenizer, data = parts
    flags: VulnerabilityData = read_data(toy_folder, label_mode="multilabel")
    cache = tmp_path_factory.getbasetemp() / "flags-tokens"
    return {
        "cwe_or_clean": (model, tokenizer, data),
        "multilabel": (model, tokenizer, training_data_of(flags, tokenizer, cache)),
    }


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """A list that grows by the gradient of each optimizer step, one vector; dropout is off."""
    found: list[torch.Tensor] = []
    original = ScheduledOptimizer.step

    def noted(self: ScheduledOptimizer) -> Any:
        parts = [p.grad.flatten() for p in self.parameters if p.grad is not None]
        found.append(torch.cat(parts).double())
        return original(self)

    monkeypatch.setattr(ScheduledOptimizer, "step", noted)
    train = torch.nn.Module.train
    monkeypatch.setattr(torch.nn.Module, "train", lambda self, mode=True: train(self, False))
    return found


def alike(left: torch.Tensor, right: torch.Tensor) -> bool:
    ratio = float(left.norm() / right.norm())
    return abs(ratio - 1) < 1e-6 and float((left - right).norm() / right.norm()) < 1e-5


def test_a_step_computes_of_the_last_layer_the_token_that_the_head_reads(
    parts: Any, tmp_path: Path
) -> None:
    widths = list[int]()

    def note(module: torch.nn.Module, inputs: Any) -> None:
        if torch.is_grad_enabled() and isinstance(module, RobertaIntermediate):
            widths.append(inputs[0].shape[1])

    with torch.nn.modules.module.register_module_forward_pre_hook(note):
        train_base_model(job_of(parts, train_config(tmp_path, epochs=1)))
    assert len(widths) > 1
    assert set(widths) == {1}, "the only layer is the last"


@pytest.mark.parametrize("weights", ["none", "balanced"])
@pytest.mark.parametrize("label_mode", ["cwe_or_clean", "multilabel"])
def test_an_accumulated_step_has_the_gradient_of_one_batch_ragged_ends_included(
    parts_of: Any, tmp_path: Path, gradients: list[torch.Tensor], label_mode: str, weights: str
) -> None:
    settings = {"epochs": 1, "label_mode": label_mode, "class_weights": weights}
    for steps, size in {1: 42, **CUTS}.items():
        config = train_config(
            tmp_path / str(steps), batch_size=size, accumulation_steps=steps, **settings
        )
        train_base_model(job_of(parts_of[label_mode], config))
    whole, *cut = gradients
    assert len(cut) == len(CUTS)
    assert all(alike(gradient, whole) for gradient in cut)
    lines = [(tmp_path / str(n) / "history.jsonl").read_text() for n in (1, *CUTS)]
    losses = [json.loads(line.splitlines()[-1])["train_loss"] for line in lines]
    assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-6)


@pytest.mark.parametrize("label_mode", ["cwe_or_clean", "multilabel"])
def test_the_shares_of_several_processes_add_up_to_the_gradient_of_one_batch(
    parts_of: Any, tmp_path: Path, gradients: list[torch.Tensor], label_mode: str
) -> None:
    """Each process takes its part of every batch, and counts it against the functions of all."""
    job = job_of(
        parts_of[label_mode],
        train_config(
            tmp_path, batch_size=16, label_mode=label_mode, class_weights="balanced", epochs=1
        ),
    )
    train = job.data.train
    for world_size in (1, 3):
        training = start_or_resume(job)
        batches = [
            batch
            for rank in range(world_size)
            for batch in make_loader(
                train,
                EpochBatches(train.lengths, 16, seed=1, epoch=1, rank=rank, world_size=world_size),
                pad_token_id=job.tokenizer.pad_token_id,
                hardware=job.hardware,
            )
        ]
        step = Step.of(batches, training)
        for batch in batches:
            train_batch(training, batch, step)
    assert alike(*gradients)


def test_every_step_of_an_epoch_weighs_its_own_functions(
    parts_of: Any, tmp_path: Path, gradients: list[torch.Tensor]
) -> None:
    """42 functions, 4 a batch, 2 batches a step: the last step holds one batch of 2."""
    config = train_config(
        tmp_path / "cut", batch_size=4, accumulation_steps=2, epochs=1, learning_rate=1e-30
    )
    train_base_model(job_of(parts_of["cwe_or_clean"], config))
    assert len(gradients) == 6
    # At a rate of next to nothing the weights stay: all steps together are the whole epoch.
    sizes = torch.tensor([8.0, 8, 8, 8, 8, 2])
    epoch = sum(g * size for g, size in zip(gradients, sizes, strict=True)) / 42
    config = train_config(tmp_path / "whole", batch_size=42, epochs=1, learning_rate=1e-30)
    train_base_model(job_of(parts_of["cwe_or_clean"], config))
    assert alike(epoch, gradients[-1])  # type: ignore[arg-type]


def test_balanced_weights_are_those_of_scikit_learn_and_of_flags_the_share_of_negatives() -> None:
    labels = np.array([0, 0, 0, 2, 2, 1, 0])
    ours = OneClass(("a", "b", "c", "absent")).balanced_weights(labels)
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert ours[:3] == pytest.approx(theirs)
    flags = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 1]], dtype=bool)
    assert SeveralFlags(("a", "never", "always")).balanced_weights(flags).tolist() == [1.5, 1, 1]


def test_a_class_that_is_rare_counts_as_much_as_a_frequent_one() -> None:
    weights = torch.tensor([0.5, 4.0])
    loss = TaskLoss(OneClass.problem_type, weights, torch.device("cpu"))
    logits, labels = torch.randn(9, 2), torch.tensor([0] * 8 + [1])
    each = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(loss.mean(logits, labels), (each[:8].mean() + each[8]) / 2)
    assert loss.weight(labels) == 8.0


def test_the_loss_of_flags_is_the_mean_of_their_binary_cross_entropies() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]])
    flags = torch.tensor([[True, False, True], [False, False, False]])
    chances = torch.where(flags, logits.sigmoid(), 1 - logits.sigmoid())
    torch.testing.assert_close(
        LOSSES[SeveralFlags.problem_type](logits, flags), -chances.log().mean()
    )


def test_other_class_weights_are_refused_by_name_even_where_a_checkpoint_is_older_than_they(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_training(*parts, train_config(tmp_path, epochs=1), monkeypatch)
    original = state_file.read_state

    def of_an_older_program(folder: Path, **mapped: Any) -> dict[str, Any]:
        state = original(folder, **mapped)
        del state["identity"]["class_weights"]
        return state

    monkeypatch.setattr(state_file, "read_state", of_an_older_program)
    run_training(*parts, train_config(tmp_path, epochs=2), monkeypatch)
    with pytest.raises(CheckpointError, match=r"class_weights=none.*class_weights=balanced"):
        run_training(
            *parts, train_config(tmp_path, epochs=3, class_weights="balanced"), monkeypatch
        )


def test_sums_of_losses_as_an_older_program_stored_them_go_on(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It added up the means of batches; in whole batches each counts as many functions."""
    run_training(*parts, train_config(tmp_path / "unbroken", epochs=1), monkeypatch)
    config = train_config(tmp_path / "older", epochs=1)
    with pytest.raises(Interrupted):
        run_training(*parts, config, monkeypatch, stop_after=5)
    original = state_file.read_state

    def of_an_older_program(folder: Path, **mapped: Any) -> dict[str, Any]:
        state = original(folder, **mapped)
        losses = state["losses"]
        for name in ("epoch", "window"):
            losses[name] = losses[name] / 4
            losses[f"{name}_batches"] = int(losses.pop(f"{name}_weight") / 4)
        return state

    with monkeypatch.context() as patched:
        patched.setattr(state_file, "read_state", of_an_older_program)
        run_training(*parts, config, monkeypatch)
    left, right = (
        (tmp_path / name / "history.jsonl").read_text() for name in ("older", "unbroken")
    )
    assert left == right
