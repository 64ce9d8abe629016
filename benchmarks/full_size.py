"""RoBERTa-base at full size beside Hugging Face Trainer in all its modes, meant for a GPU.

`python -m benchmarks.full_size FOLDER` writes bench.json, bench.txt and profile.txt there. The same
model, functions, precision, dropout, optimizer and loader processes for all; they take turns, and
medians are compared. Lengths are drawn as VDISC's are spread, or are those of a data folder
(--data). Useful FLOPs are those of real tokens; `bound` is their share of all that padded batches
compute.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import itertools
import json
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from benchmarks import hugging_face, machine, save
from benchmarks.clock import Clock
from benchmarks.flops import Encoder, matmul_peak
from benchmarks.step_profile import profiled
from benchmarks.train import ENSTACK, no_log
from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData, read_data
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer
from enstack.models.hardware import DTYPES, Hardware
from enstack.models.tokens import LabelledTokens, Tokens, tokenize
from enstack.progress.stopping import StopRequest
from enstack.toy.functions import write_toy_data
from enstack.toy.tiny_models import TinyModel, write_encoder
from enstack.training.job import TrainingData, TrainingJob
from enstack.training.resume import start_or_resume
from enstack.training.saver import Saver
from enstack.training.trainer import train_epoch

MAX_LENGTH = 512
# Of VDISC's functions under RoBERTa's tokenizer, cut at 512: a mean of 273 tokens.
MEDIAN, SPREAD, SHORTEST = 260.0, 0.85, 16
# Trainer groups lengths within 50 batches, enstack within 100: an epoch holds both several times.
EPOCH = 400  # batches
WARM_UP = 10  # batches, of every turn
TINY = TinyModel(vocabulary=1000, hidden=16, layers=1, heads=2)


@dataclass(frozen=True)
class Case:
    """Who trains, at which precision, in batches of which size."""

    mode: str
    precision: str
    batch_size: int

    def __str__(self) -> str:
        return f"{self.mode} | {self.precision} | batch {self.batch_size}"


@dataclass(frozen=True)
class Setting:
    """What every turn starts from."""

    base_model: BaseModel
    tokenizer: Any
    data: VulnerabilityData
    lengths: np.ndarray
    batches: int  # that are timed in a turn
    folder: Path
    vocabulary: int

    def examples(self, batch_size: int) -> LabelledTokens:
        """An epoch of functions, their tokens at random."""
        chance = np.random.default_rng(batch_size)
        n = min(EPOCH, 8 * (self.batches + WARM_UP)) * batch_size
        lengths = chance.choice(self.lengths, n).astype(np.int32)
        ids = [chance.integers(10, self.vocabulary, length, dtype=np.int32) for length in lengths]
        rows = Dataset.from_dict({"input_ids": ids})
        labels = chance.integers(0, len(self.data.task.class_names), n)
        return LabelledTokens(Tokens(rows, lengths, 0, ""), labels, np.arange(n).astype(str))


def drawn_lengths() -> np.ndarray:
    """Lengths as VDISC's are spread, int (20000,)."""
    drawn = np.random.default_rng(0).lognormal(math.log(MEDIAN), SPREAD, 20_000)
    return np.clip(drawn, SHORTEST, MAX_LENGTH).astype(np.int64)


def lengths_of(data_dir: str, tokenizer: Any, cache: Path) -> np.ndarray:
    """Lengths of a data folder's training functions."""
    train = read_data(Path(data_dir), label_mode="cwe_or_clean").splits["train"]
    tokens = tokenize(train, tokenizer, max_length=MAX_LENGTH, cache_dir=cache, title="Tokens")
    return tokens.lengths


def set_up(folder: Path, shape: dict[str, int], batches: int, data_dir: str | None) -> Setting:
    """Toy classes, a tokenizer, and a classifier of the shape with random weights."""
    data = read_data(write_toy_data(folder / "data"), label_mode="cwe_or_clean")
    write_encoder(folder / "model", TINY, data.splits["train"].sources.to_pylist(), seed=1)
    save.write_model(folder / "model", shape)
    base_model = BaseModel("model", str(folder / "model"))
    tokenizer = load_tokenizer(base_model)
    lengths = lengths_of(data_dir, tokenizer, folder / "cache") if data_dir else drawn_lengths()
    vocabulary = shape["vocab_size"]
    return Setting(base_model, tokenizer, data, lengths, batches, folder, vocabulary)


class TimeIsUp(Exception):
    """Enough steps were timed."""


class ClockedStop(StopRequest):
    """Looked at after each step; leaves the training when its steps are timed."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    @property
    def requested(self) -> bool:
        """Never: it raises instead, so that nothing is saved."""
        if self.clock.step_ended():
            raise TimeIsUp
        return False


def job_of(setting: Setting, examples: LabelledTokens, case: Case, folder: Path) -> TrainingJob:
    """One training of enstack."""
    config = RunConfig(
        batch_size=case.batch_size,
        precision=case.precision,
        epochs=1,
        learning_rate=1e-5,
        save_steps=0,
        run_dir=str(folder / "run"),
        local_dir=str(folder / "scratch"),
        label_mode="cwe_or_clean",
    )
    data = TrainingData(examples, examples, setting.data.task, setting.data.fingerprint)
    hardware = Hardware.choose(config.precision, config.num_workers)
    place = folder / "run"
    return TrainingJob(setting.base_model, setting.tokenizer, data, config, hardware, place, no_log)


def enstack_turn(
    setting: Setting, examples: LabelledTokens, case: Case, folder: Path, clock: Clock
) -> list[np.ndarray]:
    """Tokens of the functions of each timed batch."""
    training = start_or_resume(job_of(setting, examples, case, folder))
    order = itertools.islice(training.rest_of_epoch()[1], clock.first, clock.last)
    batches = [examples.lengths[rows] for rows in order]
    with contextlib.suppress(TimeIsUp):
        train_epoch(training, Saver(training), ClockedStop(clock))
    return batches


def trainer_turn(
    setting: Setting, examples: LabelledTokens, case: Case, folder: Path, clock: Clock
) -> list[np.ndarray]:
    """Tokens of the functions of each timed batch."""
    model = load_classifier(setting.base_model, setting.data.class_names, seed=1)
    return hugging_face.train(
        case.mode,
        model,
        setting.tokenizer,
        trainer_rows(examples),
        clock,
        precision=case.precision,
        batch_size=case.batch_size,
        max_length=MAX_LENGTH,
        workers=Hardware.choose().workers,
        folder=folder,
    )


def trainer_rows(examples: LabelledTokens) -> Any:
    """The same functions as a data set of Trainer's, with the lengths it groups by."""
    rows = examples.tokens.rows
    return rows.add_column("length", examples.lengths).add_column("labels", examples.labels)


def turn(setting: Setting, examples: LabelledTokens, case: Case) -> dict[str, float]:
    """One turn's figures."""
    device = Hardware.choose().device
    clock = Clock(WARM_UP, WARM_UP + setting.batches, device)
    run = enstack_turn if case.mode == ENSTACK else trainer_turn
    free_memory()
    with tempfile.TemporaryDirectory(dir=setting.folder) as name, in_silence():
        batches = run(setting, examples, case, Path(name), clock)
    return figures(batches, clock.seconds, case)


def figures(batches: list[np.ndarray], seconds: float, case: Case) -> dict[str, float]:
    """Speeds of some batches, by the tokens of their functions."""
    width = MAX_LENGTH if case.mode == hugging_face.FIXED else None
    tokens = np.concatenate(batches)
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return {
        "functions_per_second": len(tokens) / seconds,
        "tokens_per_second": float(tokens.sum()) / seconds,
        "useful_flops_per_second": ENCODER.training(tokens) / seconds,
        "bound": ENCODER.padding_bound(batches, width),
        "mean_tokens": float(tokens.mean()),
        "peak_gib": peak / 2**30,
    }


ENCODER = Encoder(
    save.ROBERTA_BASE["hidden_size"],
    save.ROBERTA_BASE["num_hidden_layers"],
    save.ROBERTA_BASE["intermediate_size"],
)


def free_memory() -> None:
    """Leave the next turn the whole card, its peak counted anew."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


@contextlib.contextmanager
def in_silence() -> Iterator[None]:
    """Without bars and logs."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def all_cases(precisions: list[str], batch_sizes: list[int]) -> list[Case]:
    """Everybody's turn of a round."""
    modes = (ENSTACK, *hugging_face.MODES)
    return [Case(m, p, b) for b in batch_sizes for p in precisions for m in modes]


def medians(turns: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure."""
    return {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}


def results_of(turns: dict[Case, list[dict[str, float]]], peaks: dict[str, float]) -> Any:
    """Medians of the turns so far, with utilisation and the ratio of enstack to each."""
    found = {case: medians(made) for case, made in turns.items() if made}
    rows = []
    for case, row in found.items():
        ours = found.get(Case(ENSTACK, case.precision, case.batch_size))
        speed = row["useful_flops_per_second"]
        rows.append(
            {
                **vars(case),
                **row,
                "turns": len(turns[case]),
                "utilisation": speed / peaks[case.precision],
                "ratio": ours["useful_flops_per_second"] / speed if ours else None,
                "ratio_of_bounds": ours["bound"] / row["bound"] if ours else None,
            }
        )
    return rows


def table(results: dict[str, Any]) -> str:
    """The figures for a reader, a line for each case."""
    lines = [machine.line(results["machine"])]
    for precision, peak in results["matmul_flops_per_second"].items():
        lines.append(f"matrix product, {precision}: {peak / 1e12:.0f} TFLOP/s")
    lines.append(
        f"{'':18}{'':6}{'batch':>6}{'functions/s':>12}{'tokens/s':>11}{'bound':>7}{'used':>7}"
        f"{'GiB':>7}{'ratio':>7}{'bounds':>8}{'turns':>6}"
    )
    for row in results["cases"]:
        lines.append(
            f"{row['mode']:18}{row['precision']:6}{row['batch_size']:6}"
            f"{row['functions_per_second']:12.0f}{row['tokens_per_second']:11.0f}"
            f"{row['bound']:7.3f}{row['utilisation']:7.1%}{row['peak_gib']:7.1f}"
            f"{row['ratio'] or 0:7.2f}{row['ratio_of_bounds'] or 0:8.2f}{row['turns']:6}"
        )
    lines.append(
        "ratio: useful FLOPs a second of enstack over the line's; bounds: what padding gives"
    )
    return "\n".join([*lines, *save_lines(results.get("save", {}))])


def save_lines(found: dict[str, dict[str, float]]) -> Iterator[str]:
    """How long a save keeps the loop waiting."""
    for name, way in found.items():
        first, later = way["first_blocked"], way["blocked"]
        yield f"a save blocks {name} for {1000 * first:.0f} ms at first, then {1000 * later:.0f} ms"


def profile_of(setting: Setting, case: Case, steps: int = 20) -> str:
    """Where the time of some steps of enstack goes."""
    examples = setting.examples(case.batch_size)
    free_memory()
    with tempfile.TemporaryDirectory(dir=setting.folder) as name, in_silence():
        training = start_or_resume(job_of(setting, examples, case, Path(name)))
        saver, device = Saver(training), training.device
        with contextlib.suppress(TimeIsUp):
            train_epoch(training, saver, ClockedStop(Clock(0, WARM_UP, device)))

        def work() -> None:
            with contextlib.suppress(TimeIsUp):
                train_epoch(training, saver, ClockedStop(Clock(0, steps, device)))

        return profiled(work, f"{case}, {steps} steps")


def saves(setting: Setting) -> dict[str, dict[str, float]]:
    """How long a save of the whole model blocks enstack and Trainer, on a local disk."""
    examples = setting.examples(1)
    data = TrainingData(examples, examples, setting.data.task, setting.data.fingerprint)
    parts = (setting.base_model, setting.tokenizer, data)
    free_memory()
    with tempfile.TemporaryDirectory(dir=setting.folder) as name, in_silence():
        turns = save.both_on(parts, Path(name), math.inf, rounds=1, idle_batches=20)
    return {who: save.summary(made) for who, made in turns.items()}


def main() -> None:
    """Measure, write after every round, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path, help="folder for bench.json, bench.txt, profile.txt")
    parser.add_argument("--data", help="take the lengths of this data folder's functions")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, default=50, help="timed in each turn")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--precisions", nargs="+", default=["bf16", "fp16"])
    parser.add_argument("--seconds", type=float, default=170.0, help="no turn begins after these")
    parser.add_argument("--layers", type=int, default=12, help="fewer for a trial")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        shape = {**save.ROBERTA_BASE, "num_hidden_layers": asked.layers}
        setting = set_up(Path(name), shape, asked.batches, asked.data)
        measure(asked, setting)


def measure(asked: argparse.Namespace, setting: Setting) -> None:
    """All turns, the profile and the saves, each written as soon as it is there."""
    started = time.perf_counter()
    device = Hardware.choose().device
    types = {**DTYPES, "fp32": torch.float32}
    size = 8192 if device.type == "cuda" else 512
    results: dict[str, Any] = {
        "machine": machine.facts(),
        "mean_tokens_drawn": float(setting.lengths.mean()),
        "matmul_flops_per_second": {
            p: matmul_peak(device, types[p], size) for p in asked.precisions
        },
    }
    cases = all_cases(asked.precisions, asked.batch_sizes)
    profiles = [
        profile_of(setting, Case(ENSTACK, asked.precisions[0], size)) for size in asked.batch_sizes
    ]
    write(asked.output / "profile.txt", "\n".join(profiles))
    examples = {size: setting.examples(size) for size in asked.batch_sizes}
    turns: dict[Case, list[dict[str, float]]] = {case: [] for case in cases}
    for _, case in itertools.product(range(asked.rounds), cases):
        if time.perf_counter() - started > asked.seconds:
            break
        turns[case].append(turn(setting, examples[case.batch_size], case))
        results["cases"] = results_of(turns, results["matmul_flops_per_second"])
        report(asked.output, results)
    results["turns"] = {str(case): made for case, made in turns.items()}
    results["save"] = saves(setting)
    report(asked.output, results)
    print(table(results))


def report(folder: Path, results: dict[str, Any]) -> None:
    """Write what is known so far."""
    write(folder / "bench.json", json.dumps(results, indent=1))
    write(folder / "bench.txt", table(results) + "\n")


def write(path: Path, text: str) -> None:
    """Write a file, its folder made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    main()
