"""Files of functions in every format that is read."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from enstack.data.labels import CWE_CLASSES
from enstack.data.split_files import SPLITS

VDISC = {"train": "VDISC_train", "validation": "VDISC_validate", "test": "VDISC_test"}
# One function of each class and one without any flag.
SOURCES = [f"f{number}(int a)\n{{\n    return a + {number};\n}}\n" for number in range(6)]
FLAGS = np.eye(6, 5, dtype=bool)


def write_hdf5(
    folder: Path,
    split: str,
    sources: Any = SOURCES,
    flags: Any = FLAGS,
    *,
    rename: dict[str, str] | None = None,
    drop: Sequence[str] = (),
    **options: Any,
) -> Path:
    path = folder / f"{VDISC[split]}.hdf5"
    columns: dict[str, Any] = {name: np.asarray(flags)[:, i] for i, name in enumerate(CWE_CLASSES)}
    if isinstance(sources, list):
        columns["functionSource"] = np.array(
            [s.encode() if isinstance(s, str) else s for s in sources], dtype=object
        )
    else:
        columns["functionSource"] = sources
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            if name in drop:
                continue
            kind = h5py.string_dtype() if values.dtype == object else None
            file.create_dataset((rename or {}).get(name, name), data=values, dtype=kind, **options)
    return path


def write_all_hdf5(folder: Path, **kwargs: Any) -> Path:
    for split in SPLITS:
        write_hdf5(folder, split, **kwargs)
    return folder


def write_hdf5_columns(path: Path, sources: list[bytes], **columns: np.ndarray) -> None:
    """One file in which each column can be of any kind or length; flags come in turn."""
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        flags = {name: np.arange(len(sources)) % 5 == i for i, name in enumerate(CWE_CLASSES)}
        for name, values in {**flags, **columns}.items():
            file[name] = values
        file.create_dataset(
            "functionSource", data=np.array(sources, dtype=object), dtype=h5py.string_dtype()
        )


def write_rows(folder: Path, suffix: str, rows: list[dict[str, Any]], splits: Any = SPLITS) -> Path:
    folder.mkdir(exist_ok=True)
    for split in splits:
        path = folder / f"{split}.{suffix}"
        if suffix == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        elif suffix == "csv":
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        else:
            pq.write_table(pa.Table.from_pylist(rows), path)
    return folder


def flag_rows() -> list[dict[str, Any]]:
    return [
        {"func": source, **{name: bool(flag) for name, flag in zip(CWE_CLASSES, row, strict=True)}}
        for source, row in zip(SOURCES, FLAGS, strict=True)
    ]


def label_rows(labels: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"func": SOURCES[i % len(SOURCES)], "label": label} for i, label in enumerate(labels)]
