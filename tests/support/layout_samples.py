"""Made-up functions in the shape of each published data set: columns, names of files, types."""

from __future__ import annotations

import csv
import difflib
import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from enstack.data.formats import CWE_COLUMNS

FIXED = "int fixed(void)\n{\n    return 0; /* the fix */\n}\n"
MESSAGE = "Fix overflow in parser (CVE-2020-1234)"


@dataclass(frozen=True)
class Sample:
    """One function and what data sets say of it."""

    text: str
    vulnerable: bool
    project: str = "demo"
    commit: str = "0a1b2c"
    cve: str = "CVE-2020-1234"
    cwes: Sequence[str] = field(default=("CWE-787",))

    @property
    def flaw(self) -> tuple[int, str]:
        """The line that data sets which mark lines mark here: its number from 0, and itself."""
        lines = self.text.split("\n")
        return len(lines) // 2, lines[len(lines) // 2]

    @property
    def fix(self) -> str:
        """What takes that line away, as a diff."""
        lines = self.text.split("\n")
        fixed = [line for number, line in enumerate(lines) if number != self.flaw[0]]
        return "\n".join(difflib.unified_diff(lines, fixed, lineterm=""))


Splits = dict[str, list[Sample]]
Writer = Callable[[Path, list[dict[str, Any]]], None]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    _write(path, "".join(json.dumps(row) + "\n" for row in rows))


def write_array(path: Path, rows: list[dict[str, Any]]) -> None:
    _write(path, json.dumps(rows, indent=1))


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """As pandas does, with its column of row numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        writer = csv.writer(file)
        writer.writerow(["", *rows[0]])
        writer.writerows([number, *row.values()] for number, row in enumerate(rows))


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_arrow_stream(path: Path, rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=7)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def packed(path: Path, ending: str) -> None:
    """Put a packed file in the place of a plain one."""
    other = path.with_name(path.name + ending)
    if ending == ".gz":
        other.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    else:
        with pa.CompressedOutputStream(str(other), "zstd") as file:
            file.write(path.read_bytes())
    path.unlink()


# The rows of each data set, by the columns that its card, README or loader names.


def big_vul(one: Sample) -> dict[str, Any]:
    return {
        "Access Gained": "", "CVE ID": one.cve, "CWE ID": one.cwes[0] if one.cwes else "",
        "Publish Date": "2012-06-27", "commit_id": one.commit, "commit_message": MESSAGE,
        "func_after": FIXED, "func_before": one.text, "project": one.project,
        "vul": int(one.vulnerable), "vul_func_with_fix": FIXED,
    }  # fmt: skip


def line_vul(one: Sample) -> dict[str, Any]:
    others = {f"column {number}": "x" for number in range(24)}
    return {
        **others, "CVE ID": one.cve, "CWE ID": "", "Publish Date": "2012-06-27",
        "commit_id": one.commit, "commit_message": MESSAGE, "func_after": FIXED,
        "func_before": f"/* as it was */ {one.text}", "patch": "@@ -1,2 +1,2 @@\n-a\n+b",
        "project": one.project, "target": int(one.vulnerable), "vul_func_with_fix": FIXED,
        "processed_func": one.text, "flaw_line": one.flaw[1] if one.vulnerable else "",
        "flaw_line_index": one.flaw[0] if one.vulnerable else "",
    }  # fmt: skip


def prime_vul(one: Sample) -> dict[str, Any]:
    return {
        "idx": 1, "project": one.project, "commit_id": one.commit, "project_url": "https://a/b",
        "commit_url": "https://a/b/c", "commit_message": MESSAGE, "target": int(one.vulnerable),
        "func": one.text, "func_hash": 2**127 + 1, "file_name": "a.c", "file_hash": 7,
        "cwe": list(one.cwes), "cve": one.cve, "cve_desc": "text", "nvd_url": None,
    }  # fmt: skip


def devign(one: Sample) -> dict[str, Any]:
    names = {"project": one.project, "commit_id": one.commit}
    return {**names, "target": int(one.vulnerable), "func": one.text}


def code_xglue(one: Sample) -> dict[str, Any]:
    return {**devign(one), "idx": 3}


def code_xglue_on_the_hub(one: Sample) -> dict[str, Any]:
    names = {"project": one.project, "commit_id": one.commit}
    return {"id": 3, "func": one.text, "target": one.vulnerable, **names}


def diverse_vul(one: Sample) -> dict[str, Any]:
    return {
        "func": one.text, "target": int(one.vulnerable), "cwe": list(one.cwes),
        "project": one.project, "commit_id": one.commit, "hash": 2**127 + 3,
        "size": one.text.count("\n"), "message": MESSAGE,
    }  # fmt: skip


def reveal(one: Sample) -> dict[str, Any]:
    return {"code": one.text, "hash": 12, "project": one.project, "size": 3}


def mega_vul(one: Sample) -> dict[str, Any]:
    known = {"cve_id": one.cve, "cwe_ids": list(one.cwes), "repo_name": one.project}
    row = {**known, "commit_hash": one.commit, "commit_msg": MESSAGE, "is_vul": one.vulnerable}
    if one.vulnerable:
        return {**row, "func_before": one.text, "func": FIXED, "diff_func": one.fix}
    return {**row, "func": one.text}


def draper(one: Sample) -> dict[str, Any]:
    flags = {name: one.vulnerable and name == "CWE-119" for name in CWE_COLUMNS}
    return {"functionSource": one.text, **flags}


def sec_vul_eval(one: Sample) -> dict[str, Any]:
    return {
        "idx": 4, "project": one.project, "filepath": "a.c", "commit_id": one.commit,
        "func_name": "f", "func_body": one.text, "is_vulnerable": one.vulnerable,
        "changed_lines": [[one.flaw[0] + 1, one.flaw[1]]],
    }  # fmt: skip


def _three(
    rows: Callable[[Sample], dict[str, Any]], pattern: str, write: Writer, valid: str
) -> Any:
    def writes(folder: Path, splits: Splits) -> Path:
        names = {"train": "train", "validation": valid, "test": "test"}
        for split, samples in splits.items():
            write(folder / pattern.format(names[split]), [rows(one) for one in samples])
        return folder

    return writes


def _shards(folder: Path, splits: Splits) -> Path:
    """A clone of a repository on the hub: train in two shards."""
    (folder / "README.md").parent.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text("---\nlicense: other\n---\n")
    for split, samples in splits.items():
        count = 2 if split == "train" else 1
        size = -(-len(samples) // count)
        for number in range(count):
            rows = [code_xglue_on_the_hub(one) for one in samples[number * size :][:size]]
            write_parquet(folder / f"data/{split}-{number:05}-of-{count:05}.parquet", rows)
    return folder


def _saved_to_disk(folder: Path, splits: Splits) -> Path:
    """What datasets.DatasetDict.save_to_disk writes."""
    _write(folder / "dataset_dict.json", json.dumps({"splits": list(splits)}))
    for split, samples in splits.items():
        rows = [code_xglue_on_the_hub(one) for one in samples]
        write_arrow_stream(folder / split / "data-00000-of-00001.arrow", rows)
        _write(folder / split / "state.json", json.dumps({"_split": split}))
        _write(folder / split / "dataset_info.json", "{}")
    return folder


def _prime_vul(folder: Path, splits: Splits) -> Path:
    _three(prime_vul, "primevul_{}_paired.jsonl", write_lines, "valid")(
        folder, {split: [Sample(FIXED, True), Sample(FIXED, False)] for split in splits}
    )
    return _three(prime_vul, "primevul_{}.jsonl", write_lines, "valid")(folder, splits)


def one_file(rows: Callable[[Sample], dict[str, Any]], name: str, write: Writer) -> Any:
    """A writer of one table without splits."""

    def writes(folder: Path, samples: Iterable[Sample]) -> Path:
        write(folder / name, [rows(one) for one in samples])
        return folder

    return writes


def _reveal(folder: Path, samples: Iterable[Sample]) -> Path:
    listed = list(samples)
    for name, vulnerable in (("vulnerables", True), ("non-vulnerables", False)):
        rows = [reveal(one) for one in listed if one.vulnerable is vulnerable]
        write_array(folder / f"{name}.json", rows)
    return folder


def _sven(folder: Path, samples: Iterable[Sample]) -> Path:
    """Of each row the vulnerable function, then the fixed one: pairs in that order."""
    listed = list(samples)
    rows = [
        {
            "func_name": "f", "func_src_before": before.text, "func_src_after": after.text,
            "vul_type": "cwe-125", "commit_link": "github.com/a/b/commit/c", "file_name": "a.c",
            "line_changes": {
                "deleted": [{"line_no": before.flaw[0] + 1, "line": f"{before.flaw[1]}\n"}],
                "added": [{"line_no": 1, "line": after.text.split("\n")[0]}],
            },
        }
        for before, after in zip(listed[::2], listed[1::2], strict=True)
    ]  # fmt: skip
    half = len(rows) // 2
    write_lines(folder / "cwe-125.jsonl", rows[:half])
    write_lines(folder / "cwe-787.jsonl", rows[half:])
    return folder


def _sec_vul_eval(folder: Path, samples: Iterable[Sample]) -> Path:
    listed = [sec_vul_eval(one) for one in samples]
    half = len(listed) // 2
    by_cwe = {"CWE-119": listed[:half], "CWE-416": listed[half:]}
    _write(folder / "secvuleval.json", json.dumps(by_cwe))
    return folder


# How a data set with splits is written, and what is told of its reading.
WITH_SPLITS: dict[str, tuple[Any, str]] = {
    "LineVul": (_three(line_vul, "{}.csv", write_csv, "val"), "LineVul: processed_func, target"),
    "PrimeVul": (_prime_vul, "PrimeVul: func, target"),
    "CodeXGLUE": (
        _three(code_xglue, "{}.jsonl", write_lines, "valid"),
        "CodeXGLUE: func, target",
    ),
    "CodeXGLUE on the hub": (_shards, "CodeXGLUE on the hub: func, target"),
    "Draper, jsonl": (
        _three(draper, "{}.jsonl", write_lines, "validate"),
        "Draper VDISC: functionSource, five flags",
    ),
    "Draper, csv": (
        _three(draper, "{}.csv", write_csv, "validate"),
        "Draper VDISC: functionSource, five flags",
    ),
    "Draper, parquet": (
        _three(draper, "{}.parquet", write_parquet, "validate"),
        "Draper VDISC: functionSource, five flags",
    ),
    "save_to_disk": (_saved_to_disk, "CodeXGLUE on the hub: func, target"),
}
WITHOUT_SPLITS: dict[str, tuple[Any, str]] = {
    "Big-Vul": (one_file(big_vul, "MSR_data_cleaned.csv", write_csv), "Big-Vul: func_before, vul"),
    "Devign": (one_file(devign, "function.json", write_array), "Devign: func, target"),
    "DiverseVul": (
        one_file(diverse_vul, "diversevul_20230702.json", write_lines),
        "DiverseVul: func, target",
    ),
    "ReVeal": (_reveal, "ReVeal: code, the file's name"),
    "MegaVul": (
        one_file(mega_vul, "megavul_simple.json", write_array),
        "MegaVul: func, func_before, is_vul",
    ),
    "SVEN": (_sven, "SVEN: func_src_before, func_src_after"),
    "SecVulEval": (_sec_vul_eval, "SecVulEval: func_body, is_vulnerable"),
}
