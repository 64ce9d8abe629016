from __future__ import annotations

import numpy as np
import pytest
import torch

from enstack.errors import Interrupted
from enstack.models.base_models import BaseModel, load_classifier
from enstack.models.hardware import Hardware
from enstack.models.predict import batches_by_length, predict_probabilities
from enstack.progress.stopping import StopRequest
from enstack.training.job import TrainingData


def predict(
    model: torch.nn.Module, data: TrainingData, workers: int = 0, stop: StopRequest | None = None
) -> np.ndarray:
    hardware = Hardware.choose("fp32", workers)
    return predict_probabilities(
        model,
        data.train,
        hardware,
        batch_size=4,
        pad_token_id=1,
        title="t",
        stop=stop or StopRequest(),
    )


@pytest.fixture
def model(micro_model: BaseModel, training_data: TrainingData) -> torch.nn.Module:
    """Large weights, so that different functions get different probabilities."""
    made = load_classifier(micro_model, training_data.class_names, seed=1)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "LayerNorm" not in name:
                parameter.mul_(15)
    return made


@pytest.mark.parametrize("workers", [0, 2])
def test_row_i_is_example_i_whatever_the_batches(
    model: torch.nn.Module, training_data: TrainingData, workers: int
) -> None:
    together = predict(model, training_data, workers)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together.sum(axis=1), 1, rtol=1e-5)
    assert together.std(axis=0).max() > 0.01
    for row in range(len(training_data.train)):
        ids = torch.as_tensor(training_data.train[row]["input_ids"]).long()[None]
        with torch.inference_mode():
            alone = model(input_ids=ids).logits.softmax(-1)[0].numpy()
        np.testing.assert_allclose(together[row], alone, atol=1e-3)


def test_every_row_is_in_one_batch_and_long_ones_come_first() -> None:
    lengths = np.random.default_rng(0).integers(1, 500, 103)
    batches = batches_by_length(lengths, 16)
    rows = [row for batch in batches for row in batch]
    assert sorted(rows) == list(range(103))
    assert (np.diff(lengths[rows]) <= 0).all()


def test_predicting_touches_no_random_generator(
    model: torch.nn.Module, training_data: TrainingData
) -> None:
    before = torch.get_rng_state()
    predict(model, training_data)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_stop_is_granted_between_two_batches(
    model: torch.nn.Module, training_data: TrainingData
) -> None:
    stop = StopRequest()
    stop.ask()
    with pytest.raises(Interrupted, match="done again next time"):
        predict(model, training_data, stop=stop)
