"""Judging functions beside Hugging Face's text-classification pipeline: `enstack bench scan`.

The same small encoder in float32, and functions as long as Draper VDISC's. enstack judges them as a
scan does; the pipeline as it is without settings, which is one at a time, and as its
documentation advises: sorted by length, in batches of 32. They take turns in one process, and
medians are compared. What is said of a function must be the same. Where the processor has the
instructions, enstack in int8 takes a turn too, as a bundle of `enstack export --int8` does.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import pipeline

from benchmarks import machine, targets
from benchmarks.resume import take_turns
from enstack.bundle.trained_model import FineTunedModel
from enstack.data.functions import read_data
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer
from enstack.models.hardware import Hardware
from enstack.models.int8 import in_int8, why_no_int8
from enstack.progress.quiet import quietly
from enstack.toy.fake_vdisc import write_fake_vdisc
from enstack.toy.tiny_models import TinyModel, write_encoder

SHAPE = TinyModel(vocabulary=4000, hidden=256, layers=4, heads=4)
FUNCTIONS, ROUNDS = 200, 3
MAX_LENGTH, BATCH_SIZE, PIPELINE_BATCH = 512, 16, 32
ENSTACK, SORTED, DEFAULT = "enstack", "pipeline, sorted, batches of 32", "pipeline as it is"
INT8 = "enstack, int8"

Way = Callable[[], np.ndarray]


def prepare(folder: Path, shape: TinyModel, functions: int) -> tuple[list[str], FineTunedModel]:
    """Made-up functions and a model with random weights."""
    # Made-up files have at least so many, a tenth of which is the test split.
    write_fake_vdisc(folder / "data", max(10 * functions, 400))
    splits = read_data(folder / "data", label_mode="cwe_or_clean").splits
    write_encoder(folder / "model", shape, splits["train"].sources.to_pylist()[:2000], seed=1)
    base_model = BaseModel("model", str(folder / "model"))
    hardware = Hardware.choose("fp32", "auto")
    names = tuple(f"class-{number}" for number in range(6))
    classifier = load_classifier(base_model, names, seed=1).to(hardware.device).eval()
    tokenizer = load_tokenizer(base_model)
    model = FineTunedModel("model", classifier, tokenizer, MAX_LENGTH, BATCH_SIZE, hardware)
    return splits["test"].sources.to_pylist()[:functions], model


def ways_of(texts: list[str], model: FineTunedModel) -> dict[str, Way]:
    """The ways to judge them: each gives (n, k) probabilities in the texts' order."""
    classify: Any = pipeline(
        "text-classification",
        model=model.classifier,
        tokenizer=model.tokenizer,
        device=model.hardware.device,
        top_k=None,
    )
    names = [model.classifier.config.id2label[place] for place in range(6)]
    settings: dict[str, Any] = {"truncation": True, "max_length": MAX_LENGTH}

    def said(rows: list[list[dict[str, Any]]]) -> np.ndarray:
        found = [{one["label"]: one["score"] for one in row} for row in rows]
        return np.array([[row[name] for name in names] for row in found], dtype=np.float32)

    def in_batches() -> np.ndarray:
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        rows = classify([texts[p] for p in order], batch_size=PIPELINE_BATCH, **settings)
        return said([rows[place] for place in np.argsort(order)])

    quick = replace(model, quick=None if why_no_int8() else in_int8(model.classifier))
    of_int8 = {} if quick.quick is None else {INT8: lambda: quick.predict_proba(texts)}
    return {
        ENSTACK: lambda: model.predict_proba(texts),
        **of_int8,
        SORTED: in_batches,
        DEFAULT: lambda: said(classify(texts, **settings)),
    }


def measure(
    *, functions: int = FUNCTIONS, rounds: int = ROUNDS, shape: TinyModel = SHAPE
) -> dict[str, Any]:
    """Functions a second of each way, how far they agree, and the target."""
    with tempfile.TemporaryDirectory() as folder, quietly(), torch.inference_mode():
        texts, model = prepare(Path(folder), shape, functions)
        ways = ways_of(texts, model)
        for way in ways.values():  # kernels and tokenizers are warm
            way()
        turns = take_turns({name: timed(way) for name, way in ways.items()}, rounds)
    seconds = {name: statistics.median(each for each, _ in of) for name, of in turns.items()}
    answers = {name: of[0][1] for name, of in turns.items()}
    differences = {n: float(np.abs(answers[ENSTACK] - one).max()) for n, one in answers.items()}
    apart = max(of for name, of in differences.items() if name != INT8)
    ratio = seconds[SORTED] / seconds[ENSTACK]
    of_int8 = []
    if INT8 in seconds:
        quick = f"functions a second, {INT8} beside {SORTED}"
        of_int8 = [targets.at_least(quick, seconds[SORTED] / seconds[INT8], 2.0)]
    return {
        "machine": machine.facts(),
        "functions": len(texts),
        "rounds": rounds,
        "per_second": {name: len(texts) / each for name, each in seconds.items()},
        "largest_difference": apart,
        "largest_difference_in_int8": differences.get(INT8),
        "ratios": {SORTED: ratio, DEFAULT: seconds[DEFAULT] / seconds[ENSTACK]},
        "targets": [
            targets.at_least(f"functions a second, enstack beside {SORTED}", ratio, 1.2),
            *of_int8,
            targets.at_most("largest difference of a probability", apart, 1e-4),
        ],
    }


def timed(way: Way) -> Callable[[], tuple[float, np.ndarray]]:
    """A way that tells its seconds beside its answer."""

    def turn() -> tuple[float, np.ndarray]:
        started = time.perf_counter()
        answer = way()
        return time.perf_counter() - started, answer

    return turn


def table(results: dict[str, Any]) -> str:
    """The figures for a reader."""
    lines = [f"{results['functions']} functions, medians of {results['rounds']} rounds"]
    for name, each in results["per_second"].items():
        ratio = results["ratios"].get(name)
        beside = "" if ratio is None else f"   enstack {ratio:.2f} times as fast"
        lines.append(f"{name:34} {each:8.1f} functions/s{beside}")
    lines += [targets.line(target) for target in results["targets"]]
    if results["largest_difference_in_int8"] is not None:
        lines.append(
            f"in int8 a probability differs by {results['largest_difference_in_int8']:.2g}"
        )
    return "\n".join([*lines, machine.line(results["machine"])])
