"""Run folders as the pipeline leaves them for a report, with made-up probabilities."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from enstack.metrics.one_class import OneClass

CWE = ("CWE-119", "CWE-120", "CWE-469", "CWE-476", "CWE-other")
BINARY = ("clean", "vulnerable")
HOSTILE = "<script>alert('x')<b>&$y_1$"
BOUNDED = ("accuracy", "macro_f1")
ENDS = {f"{measure}_{end}": measure for measure in BOUNDED for end in ("low", "high")}
WEIGHTED = ("weighted_precision", "weighted_recall", "weighted_f1")
MEASURES = (*BOUNDED, *ENDS, "macro_precision", "macro_recall", *WEIGHTED, "auc", "mcc")
COLUMNS = ("kind", "name", "n", *MEASURES)
# How far each row's probabilities lean towards the label: what makes one row better than another.
FULL = {
    "base:tiny-a": 1.6,
    "base:tiny-b": 1.9,
    f"base:{HOSTILE}": 1.3,
    "base:graphcodebert-base-fine-tuned-on-my-own-corpus": 2.1,
    "vote:mean": 2.5,
    "stack:lr": 2.75,
    "stack:svm": 2.4,
    "stack:rf": 2.3,
    "stack:xgboost": 2.2,
    "baseline:tfidf_lr": 1.2,
    "baseline:majority": -1.0,
}
SUPPORT = (72, 70, 14, 33, 51)


def draw_probabilities(rng: np.random.Generator, labels: np.ndarray, k: int, lean: float) -> Any:
    logits = rng.normal(size=(len(labels), k))
    logits[np.arange(len(labels)), labels] += lean
    if lean < 0:
        logits = np.tile(np.arange(k, 0, -1.0), (len(labels), 1)) * 9
    shares = np.exp(logits)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def leaderboard_row(key: str, labels: np.ndarray, values: Any, classes: Sequence[str]) -> dict:
    kind, name = key.split(":", 1)
    found = OneClass(tuple(classes)).evaluate(labels, values)
    ends = {
        column: found[measure] + (0.045 if column.endswith("high") else -0.045)
        for column, measure in ENDS.items()
    }
    found = {"kind": kind, "name": name, **found, **ends}
    return {column: "" if found[column] is None else found[column] for column in COLUMNS}


def history_lines(n_epochs: int, start: float) -> list[dict]:
    lines: list[dict] = []
    best = 0.0
    for epoch in range(1, n_epochs + 1):
        value = start + 0.3 * (1 - 0.7**epoch) - 0.004 * max(0, epoch - 5) ** 2
        lines.append(
            {"event": "step", "epoch": epoch, "batch": 10, "optimizer_steps": 10 * epoch}
            | {"loss": 1.6 * 0.8**epoch, "lr": 1e-5}
        )
        lines.append(
            {"event": "epoch", "epoch": epoch, "train_loss": (2 - start) * 0.75**epoch}
            | {"val_loss": 1.7 - start + 0.9 * 0.6**epoch, "val_accuracy": value + 0.05}
            | {"val_macro_f1": value, "best": value > best}
        )
        best = max(best, value)
    return lines


@functools.cache  # the same few runs are written for dozens of tests
def measured(
    leans: tuple[tuple[str, float], ...], support: tuple[int, ...], classes: tuple[str, ...]
) -> tuple[np.ndarray, dict[str, Any], list[dict]]:
    """Labels, the probabilities of each row, and the rows of the leaderboard."""
    rng = np.random.default_rng(7)
    labels = np.repeat(np.arange(len(classes)), support)
    values = {key: draw_probabilities(rng, labels, len(classes), lean) for key, lean in leans}
    return labels, values, [leaderboard_row(key, labels, values[key], classes) for key, _ in leans]


def write_run(
    run_dir: Path, leans: dict[str, float], support: Sequence[int], classes: Sequence[str], n: int
) -> Path:
    """A run folder as the pipeline leaves it, with made-up probabilities and n epochs."""
    labels, values, rows = measured(tuple(leans.items()), tuple(support), tuple(classes))
    bases = [key.split(":", 1)[1] for key in leans if key.startswith("base:")]
    (run_dir / "stacking").mkdir(parents=True)
    with (run_dir / "stacking" / "leaderboard.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    ids = np.array([f"test/{row}" for row in range(len(labels))])
    np.savez(run_dir / "stacking" / "test_probabilities.npz", ids=ids, labels=labels, **values)
    for number, name in enumerate(bases):
        folder = run_dir / "base_models" / name
        folder.mkdir(parents=True)
        lines = [json.dumps(line) for line in history_lines(n, 0.35 + 0.03 * number)]
        (folder / "history.jsonl").write_text("\n".join(lines) + "\n")
    write_facts(run_dir, bases, dict(zip(classes, support, strict=True)))
    write_near_train(run_dir, np.zeros(len(labels), bool))
    return run_dir


def write_near_train(
    run_dir: Path, near: np.ndarray, threshold: Any = 0.7, **clusters: np.ndarray
) -> None:
    path = run_dir / "stacking" / "near_train.npz"
    np.savez(path, ids=np.arange(len(near)), near=near, threshold=threshold, **clusters)


def write_projects(run_dir: Path, sizes: Sequence[int]) -> None:
    """Projects p0, p1 and so on of so many test functions each, one after the other."""
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    names = np.array([f"p{number}" for number in range(len(sizes))])
    arrays = {"names": names, "numbers": numbers, "in_train": np.arange(len(sizes)) == 1}
    np.savez(run_dir / "stacking" / "projects.npz", **arrays)


def write_facts(run_dir: Path, bases: Sequence[str], support: dict[str, int]) -> None:
    splits = {"train": 5, "validation": 1, "test": 1}
    data = {
        "fingerprint": "3f" * 32,
        "label_mode": "cwe",
        "label_rule": "Functions without a flag are left out; of several flags the first counts.",
        "class_names": list(support),
        "counts": {
            split: {name: times * count for name, count in support.items()}
            for split, times in splits.items()
        },
        "notes": [
            "train: 112 functions without any flag were dropped.",
            "<i>test</i>: 3 were cut.",
        ],
        "functions": {split: times * sum(support.values()) for split, times in splits.items()},
        "available": {
            split: {name: times * count for name, count in support.items()}
            for split, times in splits.items()
        },
        "dropped": {split: {} for split in splits},
        "flag_counts": {},
        "flags_become": {},
        "truncated": {name: {"train": 31, "validation": 5, "test": 6} for name in bases},
        "holdout": {
            "meta_features": "holdout",
            "seed": 42,
            "selection": {"split": "validation", "functions": 120},
            "stacking": {"split": "validation", "functions": 120},
            "folds": None,
        },
    }
    settings = {
        "data_dir": "toy",
        "label_mode": "cwe",
        "max_length": 512,
        "base_models": list(bases),
        "epochs": 8,
        "batch_size": 16,
        "learning_rate": 2e-5,
        "use_swa": False,
        "resume": True,
        "seed": 42,
        "meta_classifiers": ["lr", "svm", "rf", "xgboost"],
        "run_dir": "/content/drive/MyDrive/enstack_runs/vdisc & <more>",
        "local_dir": None,
    }
    (run_dir / "data.json").write_text(json.dumps(data))
    (run_dir / "config.json").write_text(json.dumps(settings))


def write_full_run(run_dir: Path) -> Path:
    return write_run(run_dir, FULL, SUPPORT, CWE, 8)


def write_minimal_run(run_dir: Path) -> Path:
    return write_run(run_dir, {"base:tiny-a": 1.8}, SUPPORT, CWE, 1)


def write_binary_run(run_dir: Path) -> Path:
    leans = {"base:tiny-a": 1.2, "base:tiny-b": 1.0, "vote:mean": 1.3, "stack:lr": 1.0}
    return write_run(run_dir, leans, (150, 90), BINARY, 3)
