"""Reads what a run folder holds for its report, and refuses what is missing or damaged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enstack.data.labels import task_of
from enstack.metrics.label_task import LabelTask
from enstack.reporting.content import Epoch
from enstack.reporting.leaderboard import LeaderboardRow, read_leaderboard
from enstack.reporting.stored_files import read_object, read_text, unusable
from enstack.run_folder import RunFolder
from enstack.storage.arrays import read_arrays
from enstack.storage.json_text import json_values, parsed_json

__all__ = ["Contamination", "StoredRun", "read_history", "read_run"]

EPOCH_NUMBERS = ("train_loss", "val_loss", "val_accuracy", "val_macro_f1")
MAY_CHANGE = ("batch_size", "accumulation_steps", "precision")
# All that the page reads of data.json, so that a gap is named before anything is drawn.
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
    """Which test rows (n,) bool have a near-duplicate in train, from which Jaccard similarity.

    clusters: (n,) int, the same for test rows that near-duplicates link; None in older run folders.
    """

    threshold: float
    rows: NDArray[np.bool_]
    clusters: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class StoredPairs:
    """The rows (m, 2) of a vulnerable test function and of its fixed version, the flaw first.

    listed: how many pairs the file that lists them has in all; None where none does.
    """

    rows: NDArray[np.int64]
    listed: int | None = None
    listed_in: str | None = None


@dataclass(frozen=True)
class StoredRun:
    """What a run folder holds: labels (n,), and (n, k) probabilities of every row.

    In label mode multilabel, labels are (n, k) bool and thresholds hold (k,) of every row.
    """

    folder: RunFolder
    task: LabelTask
    settings: dict[str, Any]
    data: dict[str, Any]
    rows: list[LeaderboardRow]  # best macro-F1 first
    labels: NDArray[Any]
    probabilities: dict[str, NDArray[np.float32]]
    thresholds: dict[str, NDArray[np.float64]]  # empty where functions have one class each
    contamination: Contamination
    calibration: dict[str, dict[str, Any]]  # by the rows' keys; empty where a run is older
    pairs: StoredPairs | None

    def decisions(self, row: LeaderboardRow) -> NDArray[Any]:
        """What a row says of every test function: classes (n,), or flags (n, k) bool."""
        return self.task.decide(self.probabilities[row.key], self.thresholds.get(row.key))

    def first(self, kind: str) -> LeaderboardRow | None:
        """The best row of a kind."""
        return next((row for row in self.rows if row.kind == kind), None)


def read_run(run: RunFolder) -> StoredRun:
    """What the report is made of; CheckpointError where it is missing, damaged or does not fit."""
    data = _read_data(run.data_file)
    rows = read_leaderboard(run.stacking.leaderboard)
    path = run.stacking.test_probabilities
    labels, probabilities = _read_probabilities(path, rows)
    task, thresholds = task_of(data["label_mode"], tuple(data["class_names"])), {}
    if task.has_thresholds:
        thresholds = _read_thresholds(run.stacking.thresholds, rows, task.class_names)
    _check_labels(path, labels, task.n_classes, flags=task.has_thresholds)
    _check_probabilities(path, rows, labels, probabilities, thresholds, task)
    return StoredRun(
        folder=run,
        task=task,
        settings=read_object(run.config_file),
        data=data,
        rows=rows,
        labels=labels if task.has_thresholds else labels.astype(np.int64),
        probabilities=probabilities,
        thresholds=thresholds,
        contamination=_read_contamination(run.stacking.contamination, len(labels)),
        calibration=_read_calibration(run.stacking.calibration),
        pairs=_read_pairs(run.stacking.pairs, len(labels)),
    )


def _read_data(path: Path) -> dict[str, Any]:
    data = read_object(path)
    for key, kind in DATA_KEYS.items():
        if not isinstance(data.get(key), kind):
            raise unusable(path, f"it lacks {key}")
    if not all(isinstance(counts, dict) for counts in data["counts"].values()):
        raise unusable(path, "counts must hold every class of every split")
    return data


def _read_probabilities(
    path: Path, rows: Sequence[LeaderboardRow]
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    arrays = _read_arrays(path, ["labels", *(row.key for row in rows)])
    return arrays.pop("labels"), arrays


def _read_contamination(path: Path, n_rows: int) -> Contamination:
    arrays = _read_arrays(path, ["near", "threshold"], optional=["clusters"])
    near, threshold, clusters = arrays["near"], arrays["threshold"], arrays.get("clusters")
    # Of bytes that are 0 or 1, ~ makes 255 and 254, and as an index they pick rows 0 and 1.
    if near.shape != (n_rows,) or near.dtype != bool or threshold.shape != ():
        raise unusable(path, f"it must say yes or no of {n_rows} rows, and from which Jaccard on")
    if clusters is not None and (clusters.shape != near.shape or clusters.dtype != np.int64):
        raise unusable(path, f"clusters must be {n_rows} whole numbers")
    return Contamination(float(threshold), near, clusters)


def _read_pairs(path: Path, n_rows: int) -> StoredPairs | None:
    # Most data sets have none, and older runs kept none.
    if not path.exists():
        return None
    arrays = _read_arrays(path, ["pairs"], optional=["listed", "listed_in"])
    pairs, listed = arrays["pairs"], arrays.get("listed")
    if pairs.dtype != np.int64 or pairs.ndim != 2 or pairs.shape[1] != 2 or not len(pairs):
        raise unusable(path, "it must hold pairs of whole numbers")
    if pairs.min() < 0 or pairs.max() >= n_rows:
        raise unusable(path, f"its numbers must be rows, below {n_rows}")
    if listed is None:
        return StoredPairs(pairs)
    if listed.shape != () or listed.dtype.kind not in "iu" or listed < len(pairs):
        raise unusable(path, f"listed must be a number of pairs, {len(pairs)} or more")
    return StoredPairs(pairs, int(listed), str(arrays.get("listed_in", "")))


def _read_arrays(
    path: Path, names: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, NDArray[Any]]:
    try:
        return read_arrays(path, names, optional=optional)
    except FileNotFoundError as error:
        raise unusable(path, "it is missing") from error
    except ValueError as error:
        raise unusable(path, error) from error


def _read_thresholds(
    path: Path, rows: Sequence[LeaderboardRow], names: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    stored = read_object(path)
    thresholds = {}
    for row in rows:
        try:
            values = np.array(stored[row.key], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise unusable(path, f"it lacks numbers for {row.key}") from error
        if values.shape != (len(names),) or not np.isfinite(values).all():
            raise unusable(path, f"{row.key} must have {len(names)} finite numbers")
        thresholds[row.key] = values
    return thresholds


def _read_calibration(path: Path) -> dict[str, dict[str, Any]]:
    # Runs that are older than temperatures have none.
    stored = read_object(path) if path.exists() else {}
    for key, chosen in stored.items():
        try:
            above_zero = chosen["temperature"] > 0 and chosen["n"] >= 0
            numbers = [
                promise["threshold"] is None or math.isfinite(promise["threshold"])
                for promises in chosen["promises"].values()
                for promise in promises
            ]
        except (AttributeError, KeyError, TypeError) as error:
            raise unusable(path, f"{key} is damaged ({error!r})") from error
        if not above_zero or not all(numbers):
            raise unusable(path, f"{key} must have a temperature above 0 and finite thresholds")
    return stored


def _check_labels(path: Path, labels: NDArray[Any], n_classes: int, *, flags: bool) -> None:
    if flags:
        if labels.ndim != 2 or labels.dtype != bool or labels.shape[1] != n_classes:
            raise unusable(path, f"labels must say yes or no of {n_classes} flags, row by row")
        return
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise unusable(path, "labels must be one row of class numbers")
    # As an index, a negative number would silently count from the last class.
    if labels.min() < 0 or labels.max() >= n_classes:
        raise unusable(
            path, f"labels must be below {n_classes}, as data.json has that many classes"
        )


def _check_probabilities(
    path: Path,
    rows: Sequence[LeaderboardRow],
    labels: NDArray[Any],
    probabilities: Mapping[str, NDArray[Any]],
    thresholds: Mapping[str, NDArray[Any]],
    task: LabelTask,
) -> None:
    for row in rows:
        values = probabilities[row.key]
        if values.shape != (len(labels), task.n_classes) or not np.isfinite(values).all():
            expected = f"{len(labels)} x {task.n_classes} finite numbers"
            raise unusable(path, f"{row.key} must be {expected}, found shape {values.shape}")
        # Files of two runs may fit in shape: their accuracies tell them apart.
        decisions = task.decide(values, thresholds.get(row.key))
        accuracy, _ = task.accuracy_and_macro_f1(labels, decisions)
        if abs(accuracy - row.accuracy) > SAME_ACCURACY:
            stated = f"leaderboard.csv says {row.accuracy:.3f}"
            raise unusable(path, f"{row.key} has accuracy {accuracy:.3f}, {stated}")


def read_history(path: Path) -> list[Epoch]:
    """The epochs, in order; of an epoch that was trained twice, the last."""
    try:
        records = [parsed_json(line) for line in read_text(path).splitlines() if line.strip()]
        epochs = [_epoch(record) for record in records if record["event"] == "epoch"]
    except (ValueError, KeyError, TypeError) as error:
        raise unusable(path, f"a line is damaged ({error!r})") from error
    latest = {epoch.epoch: epoch for epoch in epochs}
    return [latest[number] for number in sorted(latest)]


def _epoch(record: Mapping[str, Any]) -> Epoch:
    # What is not known, or was not finite in an old history, becomes None: a gap in its curve.
    stated = {key: record[key] for key in EPOCH_NUMBERS}
    numbers = {
        key: None if value is None else json_values(float(value)) for key, value in stated.items()
    }
    # Histories of older programs do not say.
    return Epoch(
        epoch=int(record["epoch"]),
        **numbers,
        best=record["best"] is True,
        trained_with={key: record[key] for key in MAY_CHANGE if key in record},
    )
