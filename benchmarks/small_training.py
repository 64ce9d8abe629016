"""A small encoder, toy functions and their tokens, for benchmarks that train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from enstack.data.functions import VulnerabilityData, read_data
from enstack.models.base_models import BaseModel, load_tokenizer
from enstack.models.tokens import LabelledTokens, tokenize
from enstack.toy.functions import write_toy_data
from enstack.toy.tiny_models import TinyModel, write_encoder
from enstack.training.job import TrainingData

SHAPE = TinyModel(vocabulary=1000, hidden=128, layers=2, heads=4)
SETTINGS = {"batch_size": 16, "learning_rate": 1e-4, "precision": "fp32", "epochs": 1}
ENSTACK, TRAINER = "enstack", "Hugging Face Trainer"
SAME_BITS = "enstack, same bits"  # with deterministic=true


def prepare(folder: Path) -> tuple[BaseModel, Any, VulnerabilityData, TrainingData]:
    """Toy functions, an encoder and their tokens."""
    data = read_data(write_toy_data(folder / "data"), label_mode="cwe_or_clean")
    train = data.splits["train"]
    write_encoder(folder / "model", SHAPE, train.sources.to_pylist(), seed=1)
    base_model = BaseModel("model", str(folder / "model"))
    tokenizer = load_tokenizer(base_model)
    tokens = tokenize(train, tokenizer, max_length=512, cache_dir=folder, title="tokens")
    examples = LabelledTokens(tokens, train.labels, train.ids)
    training = TrainingData(examples, examples, data.task, data.fingerprint)
    return base_model, tokenizer, data, training


def no_log(event: str, **details: Any) -> None:
    """Events are not measured."""
