"""How costs grow with the number of functions: `enstack bench sizes`.

`python -m benchmarks.sizes --sizes N N N` takes other numbers. Made-up files as long as Draper
VDISC's are read, fingerprinted and tokenized, once without a cache and once with it; then the order
of an epoch is made, its first batch read (at the start, and after 99 % of it), all its batches read
without a model, and every function predicted by an encoder of one small layer, which leaves
little but the road around it. A cost that grows as n to the power of 1 is in proportion; the
exponent is that of the least squares through the logarithms.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, targets
from enstack.batches import EpochBatches
from enstack.data.functions import read_data
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer
from enstack.models.hardware import Hardware
from enstack.models.loader import make_loader
from enstack.models.predict import predict_probabilities
from enstack.models.tokens import LabelledTokens, tokenize
from enstack.progress.quiet import quietly
from enstack.progress.stopping import StopRequest
from enstack.toy.fake_vdisc import write_fake_vdisc
from enstack.toy.tiny_models import TinyModel, write_encoder

SIZES = (10_000, 30_000, 100_000)
SHAPE = TinyModel(vocabulary=4000, hidden=16, layers=1, heads=2)
MAX_LENGTH, BATCH_SIZE = 64, 16
MOST = 1.05
PREPARATION, AGAIN = "preparation", "preparation, from its caches"
ORDER, FIRST, LATE = "order of an epoch", "first batch", "first batch after 99 %"
READING, PREDICTION = "an epoch's batches, without a model", "prediction"


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of some work, and what it gives."""
    started = time.perf_counter()
    made = work()
    return time.perf_counter() - started, made


def prepared(folder: Path, tokenizer: Any) -> LabelledTokens:
    """All functions of a folder, as training and prediction read them."""
    data = read_data(folder / "data", label_mode="binary", cache_dir=folder / "scratch")
    train = data.splits["train"]
    tokens = tokenize(
        train, tokenizer, max_length=MAX_LENGTH, cache_dir=folder / "scratch", title="train"
    )
    return LabelledTokens(tokens, train.labels, train.ids)


def seconds_of(folder: Path, n_functions: int, base_model: BaseModel) -> dict[str, float]:
    """Seconds of each stage for so many functions, most of which are the training split."""
    write_fake_vdisc(folder / "data", n_functions)
    tokenizer, hardware = load_tokenizer(base_model), Hardware.choose("fp32", 0)
    seconds = dict[str, float]()
    seconds[PREPARATION], _ = timed(lambda: prepared(folder, tokenizer))
    seconds[AGAIN], examples = timed(lambda: prepared(folder, tokenizer))

    def order(start: int = 0) -> EpochBatches:
        return EpochBatches(examples.lengths, BATCH_SIZE, seed=1, epoch=1, start_batch=start)

    def loader(start: int = 0) -> Any:
        pad = tokenizer.pad_token_id
        return make_loader(examples, order(start), pad_token_id=pad, hardware=hardware)

    late = order().total_batches * 99 // 100
    seconds[ORDER], _ = timed(lambda: sum(1 for _ in order()))
    seconds[FIRST], _ = timed(lambda: next(iter(loader())))
    seconds[LATE], _ = timed(lambda: next(iter(loader(late))))
    seconds[READING], _ = timed(lambda: sum(1 for _ in loader()))
    classifier = load_classifier(base_model, ("clean", "vulnerable"), seed=1)
    seconds[PREDICTION], _ = timed(
        lambda: predict_probabilities(
            classifier,
            examples,
            hardware,
            batch_size=BATCH_SIZE,
            pad_token_id=tokenizer.pad_token_id,
            title="",
            stop=StopRequest(),
        )
    )
    return seconds


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The power of n that costs grow by."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def measure(*, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Seconds of every stage at every size, exponents and targets."""
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name, quietly():
        model = Path(name) / "model"
        write_fake_vdisc(Path(name) / "texts", 400)
        texts = read_data(Path(name) / "texts", label_mode="binary").splits["train"].sources
        write_encoder(model, SHAPE, texts.to_pylist(), seed=1)
        for size in sizes:
            rows.append(seconds_of(Path(name) / str(size), size, BaseModel("model", str(model))))
    powers = {stage: exponent(sizes, [row[stage] for row in rows]) for stage in rows[0]}
    return {
        "benchmark": "sizes",
        "machine": machine.facts(),
        "sizes": list(sizes),
        "seconds": {stage: [row[stage] for row in rows] for stage in rows[0]},
        "exponents": powers,
        "targets": [
            targets.at_most(f"exponent of {stage}", power, MOST) for stage, power in powers.items()
        ],
    }


def table(results: dict[str, Any]) -> str:
    """The figures for a reader."""
    head = "".join(f"{size:>12,}" for size in results["sizes"])
    lines = [machine.line(results["machine"]), "", f"{'functions':36}{head}   exponent"]
    for stage, seconds in results["seconds"].items():
        cells = "".join(f"{one:10.3f} s" for one in seconds)
        lines.append(f"{stage:36}{cells}   {results['exponents'][stage]:8.2f}")
    return "\n".join([*lines, "", *map(targets.line, results["targets"])])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizes")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    print(table(measure(sizes=parser.parse_args().sizes)))


if __name__ == "__main__":
    main()
