"""Reads what a run folder holds for its report, and refuses what is missing or damaged."""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enstack.data.labels import task_of
from enstack.errors import CheckpointError
from enstack.metrics.label_task import LabelTask
from enstack.stacking.baselines import BASELINE_TITLES

__all__ = [
    "KINDS",
    "Contamination",
    "Row",
    "StoredRun",
    "read_history",
    "read_leaderboard",
    "read_run",
]

Row = dict[str, Any]

# In the order in which rows with equal macro-F1 are listed: the simplest first.
KINDS = {"baseline": "baseline", "base": "base model", "vote": "vote", "stack": "stack"}
TITLES = {
    "stack:lr": "logistic regression",
    "stack:svm": "SVM",
    "stack:rf": "random forest",
    "stack:xgboost": "XGBoost",
    "vote:mean": "mean of the base models",
    **{f"baseline:{name}": title for name, title in BASELINE_TITLES.items()},
}
REQUIRED_NUMBERS = ("n", "accuracy", "macro_f1")
BOUNDS = ("accuracy_low", "accuracy_high", "macro_f1_low", "macro_f1_high")
MACRO = ("macro_precision", "macro_recall")
WEIGHTED = ("weighted_precision", "weighted_recall", "weighted_f1")
OTHER_NUMBERS = (*BOUNDS, *MACRO, *WEIGHTED, "auc", "mcc")
EPOCH_NUMBERS = ("train_loss", "val_loss", "val_accuracy", "val_macro_f1")
DATA_KEYS = {
    "fingerprint": str,
    "label_mode": str,
    "label_rule": str,
    "class_names": list,
    "counts": dict,
    "functions": dict,
    "available": dict,
    "dropped": dict,
    "flag_counts": dict,
    "flags_become": dict,
    "notes": list,
    "holdout": dict,
    "truncated": dict,
}
# The leaderboard and the probabilities behind it may differ by rounding, not by more than this.
SAME_ACCURACY = 0.01


@dataclass(frozen=True)
class Contamination:
    """Which test rows (n,) bool have a near-duplicate in train, from which Jaccard similarity."""

    threshold: float
    rows: NDArray[np.bool_]


@dataclass(frozen=True)
class StoredRun:
    """What a run folder holds: labels (n,), and (n, k) probabilities of every row.

    In label mode multilabel, labels are (n, k) bool and thresholds hold (k,) of every row.
    """

    run_dir: Path
    settings: dict[str, Any]
    data: dict[str, Any]
    rows: list[Row]  # best macro-F1 first
    labels: NDArray[Any]
    probabilities: dict[str, NDArray[np.float32]]
    thresholds: dict[str, NDArray[np.float64]]  # empty where functions have one class each
    contamination: Contamination

    def decisions(self, row: Row) -> NDArray[Any]:
        """What a row says of every test function: classes (n,), or flags (n, k) bool."""
        values, thresholds = self.probabilities[row["key"]], self.thresholds.get(row["key"])
        return task_of_data(self.data).decide(values, thresholds)

    def first(self, kind: str) -> Row | None:
        """The best row of a kind."""
        return next((row for row in self.rows if row["kind"] == kind), None)


def task_of_data(data: Mapping[str, Any]) -> LabelTask:
    """What the models of a run were asked, from its data.json."""
    return task_of(data["label_mode"], tuple(data["class_names"]))


def read_run(run_dir: Path) -> StoredRun:
    """What the report is made of; CheckpointError where it is missing, damaged or does not fit."""
    data = _read_data(run_dir / "data.json")
    rows = read_leaderboard(run_dir / "stacking" / "leaderboard.csv")
    path = run_dir / "stacking" / "test_probabilities.npz"
    labels, probabilities = _read_probabilities(path, rows)
    task, thresholds = task_of_data(data), {}
    if task.has_thresholds:
        thresholds = _read_thresholds(path.with_name("thresholds.json"), rows, data["class_names"])
    _check_labels(path, labels, task.n_classes, flags=task.has_thresholds)
    _check_probabilities(path, rows, labels, probabilities, thresholds, task)
    return StoredRun(
        run_dir=run_dir,
        settings=_read_object(run_dir / "config.json"),
        data=data,
        rows=rows,
        labels=labels if task.has_thresholds else labels.astype(np.int64),
        probabilities=probabilities,
        thresholds=thresholds,
        contamination=_read_contamination(run_dir / "stacking" / "near_train.npz", len(labels)),
    )


def _broken(path: Path, found: object) -> CheckpointError:
    """One line, whatever the cause said."""
    found = " ".join(str(found).split())
    return CheckpointError(f"The report can't use {path}: {found}. Run the pipeline again.")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise _broken(path, "it is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(path, error) from error


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise _broken(path, f"it is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise _broken(path, "it must hold one JSON object")
    return value


def _read_data(path: Path) -> dict[str, Any]:
    data = _read_object(path)
    for key, kind in DATA_KEYS.items():
        if not isinstance(data.get(key), kind):
            raise _broken(path, f"it lacks {key}")
    if not all(isinstance(counts, dict) for counts in data["counts"].values()):
        raise _broken(path, "counts must hold every class of every split")
    return data


def read_leaderboard(path: Path) -> list[Row]:
    """Rows of the table, best macro-F1 first, each with its key and a title for people."""
    try:
        rows = [
            _row(record) for record in csv.DictReader(io.StringIO(_read_text(path), newline=""))
        ]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise _broken(path, f"a row is damaged ({error!r})") from error
    if not rows:
        raise _broken(path, "it holds no row")
    order = list(KINDS)
    return sorted(rows, key=lambda row: (-row["macro_f1"], order.index(row["kind"]), row["name"]))


def _row(record: Mapping[str, str]) -> Row:
    kind, name = record["kind"], record["name"]
    if kind not in KINDS:
        raise ValueError(f"kind {kind}")
    key = f"{kind}:{name}"
    numbers = {column: float(record[column]) for column in REQUIRED_NUMBERS}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError(f"{key} has no number")
    others = {
        column: float("nan" if record[column] == "" else record[column]) for column in OTHER_NUMBERS
    }
    row = {"key": key, "kind": kind, "name": name, "title": TITLES.get(key, name)}
    return {**row, **numbers, **others, "n": int(numbers["n"])}


def _read_probabilities(
    path: Path, rows: Sequence[Row]
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    arrays = _read_arrays(path, ["labels", *(row["key"] for row in rows)])
    return arrays.pop("labels"), arrays


def _read_contamination(path: Path, n_rows: int) -> Contamination:
    arrays = _read_arrays(path, ["near", "threshold"])
    near, threshold = arrays["near"], arrays["threshold"]
    if near.shape != (n_rows,) or near.dtype != bool or threshold.shape != ():
        raise _broken(path, f"it must say yes or no of {n_rows} rows, and from which Jaccard on")
    return Contamination(float(threshold), near)


def _read_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in names}
    except FileNotFoundError as error:
        raise _broken(path, "it is missing") from error
    except KeyError as error:
        raise _broken(path, error.args[0]) from error
    # A file that is not whole, not zip, or a bare array: numpy has an exception for each.
    except (OSError, ValueError, EOFError, TypeError, AttributeError) as error:
        raise _broken(path, error) from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise _broken(path, error) from error


def _read_thresholds(
    path: Path, rows: Sequence[Row], names: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    stored = _read_object(path)
    thresholds = {}
    for row in rows:
        try:
            values = np.array(stored[row["key"]], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise _broken(path, f"it lacks numbers for {row['key']}") from error
        if values.shape != (len(names),) or not np.isfinite(values).all():
            raise _broken(path, f"{row['key']} must have {len(names)} finite numbers")
        thresholds[row["key"]] = values
    return thresholds


def _check_labels(path: Path, labels: NDArray[Any], n_classes: int, *, flags: bool) -> None:
    if flags:
        if labels.ndim != 2 or labels.dtype != bool or labels.shape[1] != n_classes:
            raise _broken(path, f"labels must say yes or no of {n_classes} flags, row by row")
        return
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise _broken(path, "labels must be one row of class numbers")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise _broken(path, f"labels must be below {n_classes}, as data.json has that many classes")


def _check_probabilities(
    path: Path,
    rows: Sequence[Row],
    labels: NDArray[Any],
    probabilities: Mapping[str, NDArray[Any]],
    thresholds: Mapping[str, NDArray[Any]],
    task: LabelTask,
) -> None:
    for row in rows:
        values = probabilities[row["key"]]
        if values.shape != (len(labels), task.n_classes) or not np.isfinite(values).all():
            expected = f"{len(labels)} x {task.n_classes} finite numbers"
            raise _broken(path, f"{row['key']} must be {expected}, found shape {values.shape}")
        decisions = task.decide(values, thresholds.get(row["key"]))
        accuracy, _ = task.accuracy_and_macro_f1(labels, decisions)
        if abs(accuracy - row["accuracy"]) > SAME_ACCURACY:
            stated = f"leaderboard.csv says {row['accuracy']:.3f}"
            raise _broken(path, f"{row['key']} has accuracy {accuracy:.3f}, {stated}")


def read_history(path: Path) -> list[dict[str, Any]]:
    """Records of the epochs, in order; of an epoch that was trained twice, the last."""
    try:
        records = [json.loads(line) for line in _read_text(path).splitlines() if line.strip()]
        epochs = [_epoch(record) for record in records if record["event"] == "epoch"]
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(path, f"a line is damaged ({error!r})") from error
    latest = {epoch["epoch"]: epoch for epoch in epochs}
    return [latest[number] for number in sorted(latest)]


def _epoch(record: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {key: float(record[key]) for key in EPOCH_NUMBERS}
    return {"epoch": int(record["epoch"]), **numbers, "best": record["best"] is True}
