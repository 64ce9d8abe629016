"""Training speed beside Hugging Face Trainer, in one run: `python -m benchmarks.train`.

The same small encoder, toy functions, batch size, precision and optimizer; Trainer gets its dynamic
padding to multiples of 8. The two take turns, and medians are compared.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

from enstack.config import RunConfig
from enstack.data import VulnerabilityData, read_data
from enstack.models import BaseModel, load_classifier, load_tokenizer
from enstack.starting import start_or_resume
from enstack.stopping import StopRequest
from enstack.tokens import LabelledTokens, tokenize
from enstack.toy import TinyModel, write_encoder, write_toy_data
from enstack.trainer import train_epoch
from enstack.training import TrainingData

SHAPE = TinyModel(vocabulary=1000, hidden=128, layers=2, heads=4)
SETTINGS = {"batch_size": 16, "learning_rate": 1e-4, "precision": "fp32", "epochs": 1}
ROUNDS = 3


def prepare(folder: Path) -> tuple[BaseModel, Any, VulnerabilityData, TrainingData]:
    """Toy functions, an encoder and their tokens."""
    data = read_data(write_toy_data(folder / "data"), label_mode="cwe_or_clean")
    train = data.splits["train"]
    write_encoder(folder / "model", SHAPE, train.sources.to_pylist(), seed=1)
    base_model = BaseModel("model", str(folder / "model"))
    tokenizer = load_tokenizer(base_model)
    tokens = tokenize(train, tokenizer, max_length=512, cache_dir=folder, title="tokens")
    examples = LabelledTokens(tokens, train.labels, train.ids)
    training = TrainingData(examples, examples, data.class_names, data.fingerprint)
    return base_model, tokenizer, data, training


def no_log(event: str, **details: Any) -> None:
    """Events are not measured."""


def enstack_seconds(
    base_model: BaseModel, tokenizer: Any, data: TrainingData, folder: Path
) -> float:
    """Seconds of one epoch, without validation and saving."""
    config = RunConfig(**SETTINGS, save_steps=0, run_dir=str(folder), label_mode="cwe_or_clean")
    training = start_or_resume(base_model, tokenizer, data, config, folder, no_log)
    started = time.perf_counter()
    train_epoch(training, StopRequest(), no_log)
    return time.perf_counter() - started


def trainer_seconds(
    base_model: BaseModel, tokenizer: Any, data: TrainingData, folder: Path
) -> float:
    """Seconds of one epoch of Hugging Face Trainer, without evaluation and saving."""
    rows = [data.train[row] for row in range(len(data.train))]
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=SETTINGS["batch_size"],
        learning_rate=SETTINGS["learning_rate"],
        num_train_epochs=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_steps=10,
        optim="adamw_torch_fused",
        use_cpu=not torch.cuda.is_available(),
    )
    trainer = Trainer(
        load_classifier(base_model, data.class_names, seed=1),
        arguments,
        train_dataset=rows,
        data_collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8),
    )
    started = time.perf_counter()
    trainer.train()
    return time.perf_counter() - started


def main() -> None:
    """Print both medians and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with contextlib.redirect_stdout(io.StringIO()):
            base_model, tokenizer, _, data = prepare(folder)
            ours, theirs = [], []
            for number in range(ROUNDS + 1):
                parts = (base_model, tokenizer, data)
                ours.append(enstack_seconds(*parts, folder / f"ours-{number}"))
                theirs.append(trainer_seconds(*parts, folder / f"theirs-{number}"))
        # The first round warms both up.
        left, right = statistics.median(ours[1:]), statistics.median(theirs[1:])
        print(f"enstack              {len(data.train) / left:7.1f} functions/s")
        print(f"Hugging Face Trainer {len(data.train) / right:7.1f} functions/s")
        print(f"ratio                {right / left:7.2f} x")


if __name__ == "__main__":
    main()
