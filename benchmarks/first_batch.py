"""From the start of a run to its first trained batch: `enstack bench first_batch`.

A fake VDISC and RoBERTa-base with random weights. Each start is a process of its own with an empty
scratch disk, as a borrowed machine has: of a run that nobody has prepared, of one that `enstack
prepare` has packed, and of two such with caches that were damaged on their way. The clock begins
with the process and ends when the first batch is trained; then the process is ended.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import full_vocabulary, machine, save, targets
from enstack import bench

FUNCTIONS = 100_000
PREPARED, ONE_DAMAGED, ALL_DAMAGED = "prepared", "a cache damaged", "all caches damaged"
NOT_PREPARED = "not prepared"
STARTS = (NOT_PREPARED, PREPARED, ONE_DAMAGED, ALL_DAMAGED)
LIMIT = 60.0  # seconds
MIB = 2**20


def start(run_dir: Path, started: float) -> None:
    """Run until a batch is trained; print the seconds, the bytes that were read, and how tokens."""
    import enstack
    from enstack.models import tokens
    from enstack.training import trainer

    tokenized, encode, train_batch = 0, tokens.encode, trainer.train_batch

    def counted(sources: list[str], *rest: Any) -> Any:
        nonlocal tokenized
        tokenized += len(sources)
        return encode(sources, *rest)

    def first(*arguments: Any) -> None:
        train_batch(*arguments)
        seconds = time.time() - started
        read = Path("/proc/self/io").read_text().split("\n")[0].split()[1]
        print(json.dumps({"seconds": seconds, "read": int(read), "tokenized": tokenized}))
        sys.stdout.flush()
        os._exit(0)

    tokens.encode, trainer.train_batch = counted, first
    enstack.run(enstack.configure(**settings_of(run_dir)))


def settings_of(run_dir: Path) -> dict[str, Any]:
    """Of all starts alike, but for the run folder and its scratch disk."""
    place = run_dir.parent
    return {
        "data_dir": str(place / "data"),
        "run_dir": str(run_dir),
        "local_dir": str(place / f"{run_dir.name}-scratch"),
        "base_models": [str(place / "encoder")],
        "label_mode": "binary",
    }


def write_inputs(place: Path, functions: int, shape: dict[str, int]) -> None:
    """The data, and an encoder of that shape with a tokenizer that suits the data."""
    from enstack.data.functions import read_data
    from enstack.toy.fake_vdisc import write_fake_vdisc

    write_fake_vdisc(place / "data", functions)
    train = read_data(place / "data", label_mode="binary").splits["train"]
    tokenizer = full_vocabulary.tokenizer_for(train)
    save.write_model(place / "encoder", {**shape, "vocab_size": len(tokenizer)})
    tokenizer.save_pretrained(place / "encoder")


def damage(run_dir: Path, *, all_of_them: bool) -> None:
    """Change a byte in the middle of the largest file of each packed cache, or of one's tokens."""
    caches = [path.parent for path in run_dir.glob("prepared/*/*/manifest.json")]
    chosen = caches if all_of_them else [one for one in caches if one.parent.name == "tokens"][:1]
    for cache in chosen:
        file = max(cache.iterdir(), key=lambda path: path.stat().st_size)
        with file.open("r+b") as content:
            content.seek(file.stat().st_size // 2)
            byte = content.read(1)
            content.seek(-1, os.SEEK_CUR)
            content.write(bytes([byte[0] ^ 1]))


def measure(
    *, functions: int = FUNCTIONS, shape: dict[str, int] = save.ROBERTA_BASE
) -> dict[str, Any]:
    """All figures, as plain values."""
    import enstack

    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_inputs(place, functions, shape)
        prepared = place / PREPARED
        before = time.perf_counter()
        packed = enstack.prepare(enstack.configure(**settings_of(prepared)))
        preparing = time.perf_counter() - before
        for way in (ONE_DAMAGED, ALL_DAMAGED):
            shutil.copytree(prepared, place / way)
            damage(place / way, all_of_them=way == ALL_DAMAGED)
        shutil.rmtree(settings_of(prepared)["local_dir"])
        starts = {way: turn(place / way) for way in STARTS}
    return {
        "benchmark": "first_batch",
        "machine": machine.facts(),
        "functions": functions,
        "preparing_seconds": preparing,
        "packed_bytes": packed.bytes,
        "starts": starts,
        "targets": [
            targets.at_most(
                "seconds to the first batch, prepared", starts[PREPARED]["seconds"], LIMIT
            ),
            targets.at_most("functions tokenized then", starts[PREPARED]["tokenized"], 0),
        ],
    }


def turn(run_dir: Path) -> dict[str, Any]:
    """One start in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.first_batch", str(run_dir), str(time.time())]
    done = subprocess.run(command, cwd=bench.ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise RuntimeError(f"{run_dir.name} ended with status {done.returncode}: {done.stderr}")
    return dict(json.loads(lines[-1]))


def table(results: dict[str, Any]) -> str:
    """The figures for a reader."""
    lines = [
        machine.line(results["machine"]),
        "",
        f"{results['functions']:,} functions; prepared in {results['preparing_seconds']:.1f} s, "
        f"{results['packed_bytes'] / MIB:,.0f} MiB",
        f"{'':20}{'first batch':>14}{'read':>14}{'functions tokenized':>22}",
    ]
    for way, one in results["starts"].items():
        lines.append(
            f"{way:20}{one['seconds']:12.1f} s{one['read'] / MIB:10,.0f} MiB{one['tokenized']:22,}"
        )
    return "\n".join([*lines, "", *map(targets.line, results["targets"])])


if __name__ == "__main__":
    if len(sys.argv) == 3:  # a start of its own
        start(Path(sys.argv[1]), float(sys.argv[2]))
    else:
        print(table(measure()))
