"""From VDISC's files to tokens, beside `datasets.map` on all cores: `enstack bench prepare`.

A fake VDISC, the same tokenizer, and for each way a process of its own. enstack reads, takes the
fingerprint and tokenizes, with its caches written and read back. The peer does as its users would:
read with h5py, `Dataset.from_dict`, `map(batched=True, num_proc=all cores)` into a file; it keeps
no other column and no attention mask. The clock runs after the imports.

Memory is that of a process and its children when it is largest: what they hold, shared pages
counted once, and the file pages (libraries, mapped data) of the one that has most. A third process
imports what both do and loads the tokenizer: neither way can need less.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import full_vocabulary, machine, targets
from enstack import bench

FUNCTIONS = 100_000
ROUNDS = 3
MAX_LENGTH = 512
WATCH_SECONDS = 0.02
ENSTACK, DATASETS, IMPORTS = "enstack", "datasets.map", "imports alone"
MIB = 2**20


def prepare_with_enstack(data_dir: Path, tokenizer_dir: Path, scratch: Path) -> dict[str, Any]:
    """Seconds and number of tokens of our way."""
    from transformers import AutoTokenizer

    from enstack.data.functions import read_data
    from enstack.models.tokens import tokenize

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir, trust_remote_code=False)
    started, n_tokens = time.perf_counter(), 0
    data = read_data(data_dir, label_mode="binary", cache_dir=scratch)
    fingerprint = data.fingerprint
    for split, functions in data.splits.items():
        tokens = tokenize(
            functions, tokenizer, max_length=MAX_LENGTH, cache_dir=scratch, title=split
        )
        n_tokens += int(tokens.lengths.sum())
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "tokens": n_tokens, "fingerprint": fingerprint}


def prepare_with_datasets(data_dir: Path, tokenizer_dir: Path, scratch: Path) -> dict[str, Any]:
    """Seconds and number of tokens of the obvious way."""
    import h5py
    from datasets import Dataset, disable_progress_bars
    from transformers import AutoTokenizer

    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir, trust_remote_code=False)

    def tokens_of(batch: dict[str, list[str]]) -> Any:
        return tokenizer(
            batch["func"], truncation=True, max_length=MAX_LENGTH, return_attention_mask=False
        )

    started, found = time.perf_counter(), []
    for path in sorted(data_dir.glob("*.hdf5")):
        with h5py.File(path) as file:
            sources = [source.decode() for source in file["functionSource"][:]]
        found.append(
            Dataset.from_dict({"func": sources}).map(
                tokens_of,
                batched=True,
                num_proc=cores(),
                remove_columns=["func"],
                cache_file_name=str(scratch / f"{path.stem}.arrow"),
            )
        )
    seconds = time.perf_counter() - started
    n_tokens = sum(len(ids) for dataset in found for ids in dataset["input_ids"])
    return {"seconds": seconds, "tokens": n_tokens}


def import_alone(data_dir: Path, tokenizer_dir: Path, scratch: Path) -> dict[str, Any]:
    """What both ways begin with."""
    import datasets  # noqa: F401
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(tokenizer_dir, trust_remote_code=False)
    return {"seconds": 0.0, "tokens": 0}


WAYS = {
    ENSTACK: prepare_with_enstack,
    DATASETS: prepare_with_datasets,
    IMPORTS: import_alone,
}


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def turn(way: str, data_dir: Path, tokenizer_dir: Path) -> dict[str, Any]:
    """One way in a process of its own: seconds, tokens, and peak memory in bytes."""
    with tempfile.TemporaryDirectory(dir=data_dir.parent) as scratch:
        command = [sys.executable, "-m", "benchmarks.prepare", way]
        peak, arguments = 0, [str(data_dir), str(tokenizer_dir), scratch]
        with subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, text=True, cwd=bench.ROOT
        ) as process:
            while process.poll() is None:
                peak = max(peak, held(process.pid))
                time.sleep(WATCH_SECONDS)
            output = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise RuntimeError(f"{way} ended with status {process.returncode}: see its lines above")
    return {**json.loads(output.splitlines()[-1]), "peak_bytes": peak}


def family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _lines(path).split():
            yield from family(int(child))


def held(pid: int) -> int:
    """Memory of a process and all below it, bytes."""
    found = [memory(member) for member in family(pid)]
    return sum(own for own, _ in found) + max(files for _, files in found)


def memory(pid: int) -> tuple[int, int]:
    """Bytes of a process: its share of memory behind no file, and pages of files; 0 at its end."""
    pages = {"Pss_Anon": 0, "Pss_Shmem": 0, "Rss": 0, "Anonymous": 0}
    for line in _lines(Path(f"/proc/{pid}/smaps_rollup")).splitlines()[1:]:
        name, size, *_ = line.replace(":", " ").split()
        if name in pages:
            pages[name] = int(size) * 1024
    return pages["Pss_Anon"] + pages["Pss_Shmem"], pages["Rss"] - pages["Anonymous"]


def _lines(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it has ended meanwhile


def all_turns(functions: int, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """What each way took in every round; the ways take turns."""
    from enstack.data.functions import read_data
    from enstack.toy.fake_vdisc import write_fake_vdisc

    outcomes: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        data_dir = write_fake_vdisc(Path(name) / "data", functions)
        train = read_data(data_dir, label_mode="binary").splits["train"]
        full_vocabulary.tokenizer_for(train).save_pretrained(Path(name) / "tokenizer")
        for _ in range(rounds):
            for way, found in outcomes.items():
                found.append(turn(way, data_dir, Path(name) / "tokenizer"))
    return outcomes


def measure(*, functions: int = FUNCTIONS, rounds: int = ROUNDS) -> dict[str, Any]:
    """All figures, as plain values."""
    outcomes = all_turns(functions, rounds)
    ways = {
        way: {
            "seconds": statistics.median(outcome["seconds"] for outcome in found),
            "peak_bytes": max(outcome["peak_bytes"] for outcome in found),
            "tokens": found[0]["tokens"],
        }
        for way, found in outcomes.items()
    }
    ours, theirs, imports = ways[ENSTACK], ways[DATASETS], ways.pop(IMPORTS)["peak_bytes"]
    beyond_imports = (ours["peak_bytes"] - imports) / (theirs["peak_bytes"] - imports)
    return {
        "benchmark": "prepare",
        "machine": machine.facts(),
        "functions": functions,
        "rounds": rounds,
        "ways": ways,
        "imports_bytes": imports,
        "same_tokens": ours["tokens"] == theirs["tokens"],
        "targets": [
            targets.at_least(
                "speed of enstack over datasets.map's", theirs["seconds"] / ours["seconds"], 1.0
            ),
            targets.at_most(
                "peak memory of enstack over datasets.map's",
                ours["peak_bytes"] / theirs["peak_bytes"],
                0.5,
            ),
            targets.at_most("the same beyond the imports", beyond_imports, 0.5),
        ],
    }


def table(results: dict[str, Any]) -> str:
    """The figures for a reader."""
    lines = [
        machine.line(results["machine"]),
        "",
        f"{results['functions']:,} functions from HDF5 to tokens (median of {results['rounds']})",
        f"{'':16}{'time':>12}{'functions/s':>14}{'peak memory':>16}{'tokens':>14}",
        f"{IMPORTS:42}{results['imports_bytes'] / MIB:12,.0f} MiB",
    ]
    for name, way in results["ways"].items():
        lines.append(
            f"{name:16}{way['seconds']:10.2f} s{results['functions'] / way['seconds']:14,.0f}"
            f"{way['peak_bytes'] / MIB:12,.0f} MiB{way['tokens']:14,}"
        )
    lines.append(f"the same tokens: {'yes' if results['same_tokens'] else 'NO'}")
    return "\n".join([*lines, "", *map(targets.line, results["targets"])])


def main() -> None:
    """Measure and print; or, in a process of its own, go one way and print what it took."""
    if len(sys.argv) == 1:
        print(table(measure()))
    else:
        way, *folders = sys.argv[1:]
        print(json.dumps(WAYS[way](*map(Path, folders))))


if __name__ == "__main__":
    main()
