from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enstack.checkpoints.weights import write_weights
from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData, read_data
from enstack.models.base_models import BaseModel, classifier_files, load_tokenizer
from enstack.models.tokens import LabelledTokens, tokenize
from enstack.storage.manifest import HashedFolder
from enstack.toy.functions import write_toy_data
from enstack.toy.tiny_models import TinyModel, write_encoder
from enstack.training.job import TrainingData

torch.set_num_threads(1)
MICRO = TinyModel(vocabulary=300, hidden=16, layers=1, heads=2)


@pytest.fixture(scope="session")
def toy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """72 toy functions in three VDISC files."""
    sizes = {"train": 42, "validation": 20, "test": 10}
    return write_toy_data(tmp_path_factory.mktemp("toy"), sizes=sizes)


@pytest.fixture(scope="session")
def toy_data(toy_folder: Path) -> VulnerabilityData:
    return read_data(toy_folder, label_mode="cwe_or_clean")


@pytest.fixture(scope="session")
def micro_model(tmp_path_factory: pytest.TempPathFactory, toy_data: VulnerabilityData) -> BaseModel:
    """One layer of 16: small enough to be trained hundreds of times in a test run."""
    folder = tmp_path_factory.mktemp("models") / "micro"
    write_encoder(folder, MICRO, toy_data.splits["train"].sources.to_pylist(), seed=1)
    return BaseModel("micro", str(folder))


@pytest.fixture(scope="session")
def micro_tokenizer(micro_model: BaseModel) -> Any:
    return load_tokenizer(micro_model)


@pytest.fixture(scope="session")
def training_data(
    toy_data: VulnerabilityData, micro_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory
) -> TrainingData:
    cache = tmp_path_factory.mktemp("cache")
    examples = {
        split: LabelledTokens(
            tokenize(f, micro_tokenizer, max_length=150, cache_dir=cache, title=split),
            f.labels,
            f.ids,
        )
        for split, f in toy_data.splits.items()
    }
    return TrainingData(
        train=examples["train"],
        selection=examples["validation"],
        class_names=toy_data.class_names,
        fingerprint=toy_data.fingerprint,
    )


def train_config(run_dir: Path, **settings: Any) -> RunConfig:
    """Three epochs of 11 batches, in fp32, so that equal means equal to the last bit."""
    chosen = {
        "epochs": 3,
        "batch_size": 4,
        "save_steps": 3,
        "learning_rate": 1e-3,
        "max_length": 150,
        "precision": "fp32",
        "label_mode": "cwe_or_clean",
        "num_workers": 0,
        **settings,
    }
    local_dir = str(run_dir.with_name(f"{run_dir.name}-scratch"))
    return RunConfig(run_dir=str(run_dir), **{"local_dir": local_dir, **chosen})


def save_classifier(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model as a checkpoint holds it."""
    new = HashedFolder(folder)
    with new.file("model.safetensors") as file:
        write_weights(file, model.state_dict())
    for name, content in classifier_files(model, tokenizer).items():
        (folder / name).write_bytes(content)


def tree_digest(folder: Path) -> dict[str, str]:
    """Sha256 of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def same(left: Any, right: Any) -> bool:
    """Whether two nested values of tensors, arrays and plain values are equal to the last bit."""
    if dataclasses.is_dataclass(left) and not isinstance(left, type):
        return same(vars(left), vars(right))
    if isinstance(left, torch.Tensor):
        return bool(torch.equal(left, right)) and left.dtype == right.dtype
    if isinstance(left, np.ndarray):
        return bool(np.array_equal(left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
