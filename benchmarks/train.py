"""Training speed beside Hugging Face Trainer, in one run: `enstack bench train`.

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

from benchmarks import machine, targets
from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData, read_data
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer
from enstack.models.hardware import Hardware
from enstack.models.tokens import LabelledTokens, tokenize
from enstack.progress.stopping import StopRequest
from enstack.toy.functions import write_toy_data
from enstack.toy.tiny_models import TinyModel, write_encoder
from enstack.training.job import TrainingData, TrainingJob
from enstack.training.resume import start_or_resume
from enstack.training.saver import Saver
from enstack.training.trainer import train_epoch

SHAPE = TinyModel(vocabulary=1000, hidden=128, layers=2, heads=4)
SETTINGS = {"batch_size": 16, "learning_rate": 1e-4, "precision": "fp32", "epochs": 1}
ROUNDS = 3
ENSTACK, TRAINER = "enstack", "Hugging Face Trainer"


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


def enstack_seconds(
    base_model: BaseModel, tokenizer: Any, data: TrainingData, folder: Path
) -> float:
    """Seconds of one epoch, without validation and saving."""
    config = RunConfig(**SETTINGS, save_steps=0, run_dir=str(folder), label_mode="cwe_or_clean")
    hardware = Hardware.choose(config.precision, config.num_workers)
    training = start_or_resume(
        TrainingJob(base_model, tokenizer, data, config, hardware, folder, no_log)
    )
    started = time.perf_counter()
    train_epoch(training, Saver(training), StopRequest())
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


def seconds_of_both(rounds: int) -> tuple[int, list[float], list[float]]:
    """Functions in an epoch, and each round's seconds of enstack and of Trainer."""
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name)
        base_model, tokenizer, _, data = prepare(folder)
        for number in range(rounds + 1):
            parts = (base_model, tokenizer, data)
            ours.append(enstack_seconds(*parts, folder / f"ours-{number}"))
            theirs.append(trainer_seconds(*parts, folder / f"theirs-{number}"))
    # The first round warms both up.
    return len(data.train), ours[1:], theirs[1:]


def measure(*, rounds: int = ROUNDS) -> dict[str, Any]:
    """All figures, as plain values."""
    functions, ours, theirs = seconds_of_both(rounds)
    left, right = statistics.median(ours), statistics.median(theirs)
    return {
        "benchmark": "train",
        "machine": machine.facts(),
        "functions": functions,
        "settings": SETTINGS,
        "rounds": rounds,
        "functions_per_second": {ENSTACK: functions / left, TRAINER: functions / right},
        "ratio": right / left,
        "targets": [targets.at_least("speed of enstack over Trainer's", right / left, 1.0)],
    }


def table(results: dict[str, Any]) -> str:
    """The figures for a reader."""
    lines = [machine.line(results["machine"]), ""]
    for name, speed in results["functions_per_second"].items():
        lines.append(f"{name:22}{speed:10.1f} functions/s")
    lines.append(f"{'ratio':22}{results['ratio']:10.2f} x")
    return "\n".join([*lines, "", *map(targets.line, results["targets"])])


def main() -> None:
    """Measure and print."""
    print(table(measure()))


if __name__ == "__main__":
    main()
