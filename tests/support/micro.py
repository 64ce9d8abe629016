"""The smallest real thing to train: 72 toy functions and a RoBERTa of one layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from enstack.data.functions import VulnerabilityData, read_data
from enstack.models.base_models import BaseModel, load_tokenizer
from enstack.models.tokens import LabelledTokens, tokenize
from enstack.toy.functions import write_toy_data
from enstack.toy.tiny_models import TinyModel, write_encoder
from enstack.training.job import TrainingData

MICRO = TinyModel(vocabulary=300, hidden=16, layers=1, heads=2)
SIZES = {"train": 42, "validation": 20, "test": 10}
Parts = tuple[BaseModel, Any, TrainingData]


def write_micro_data(folder: Path) -> Path:
    """72 toy functions in three VDISC files."""
    return write_toy_data(folder, sizes=SIZES)


def write_micro_model(folder: Path, data: VulnerabilityData) -> BaseModel:
    """One layer of 16: small enough to be trained hundreds of times in a test run."""
    write_encoder(folder, MICRO, data.splits["train"].sources.to_pylist(), seed=1)
    return BaseModel("micro", str(folder))


def training_data_of(data: VulnerabilityData, tokenizer: Any, cache_dir: Path) -> TrainingData:
    """Tokens and labels of the train split, and of all of validation to select by."""
    examples = {
        split: LabelledTokens(
            tokenize(f, tokenizer, max_length=150, cache_dir=cache_dir, title=split),
            f.labels,
            f.ids,
        )
        for split, f in data.splits.items()
    }
    return TrainingData(
        train=examples["train"],
        selection=examples["validation"],
        task=data.task,
        fingerprint=data.fingerprint,
    )


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_micro_data(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def toy_data(toy_folder: Path) -> VulnerabilityData:
    return read_data(toy_folder, label_mode="cwe_or_clean")


@pytest.fixture(scope="session")
def micro_model(tmp_path_factory: pytest.TempPathFactory, toy_data: VulnerabilityData) -> BaseModel:
    return write_micro_model(tmp_path_factory.mktemp("models") / "micro", toy_data)


@pytest.fixture(scope="session")
def micro_tokenizer(micro_model: BaseModel) -> Any:
    return load_tokenizer(micro_model)


@pytest.fixture(scope="session")
def training_data(
    toy_data: VulnerabilityData, micro_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory
) -> TrainingData:
    return training_data_of(toy_data, micro_tokenizer, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def parts(micro_model: BaseModel, micro_tokenizer: Any, training_data: TrainingData) -> Parts:
    """What training starts from, in the order in which train_base_model takes it."""
    return micro_model, micro_tokenizer, training_data
