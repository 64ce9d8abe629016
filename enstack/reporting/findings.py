"""What a report shows of a run: evaluations, comparisons, figures under other conditions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enstack.data.subsets import NOT_DRAWN
from enstack.metrics.bootstrap import bootstrap
from enstack.reporting.stored_run import Row, StoredRun, read_history, read_run, task_of_data

__all__ = ["load_results"]

SAME_SHARES = 0.1  # classes whose shares differ by less than this part were drawn as they come


def load_results(run_dir: Path) -> dict[str, Any]:
    """Everything the report shows, as JSON-able values; what is undefined or not finite is None.

    Keys: run; leaderboard (best macro-F1 first); apart (its rows on the test functions without a
    near-duplicate in train); natural (its rows at the frequencies of the whole data, None where
    they are these); comparisons (the best stack with its best member and with the mean vote);
    chosen (evaluation of the leaderboard's first row); best_base (evaluation of the best base
    model, None where that is chosen); training; data; settings.
    Raises CheckpointError when an input is missing or damaged.
    """
    stored = read_run(Path(run_dir))
    best, base = stored.rows[0], stored.first("base")
    results = {
        "run": stored.run_dir.resolve().name,
        "leaderboard": stored.rows,
        "apart": _apart(stored),
        "natural": _natural(stored),
        "comparisons": _comparisons(stored),
        "chosen": _evaluation(stored, best),
        "best_base": None if base is None or base is best else _evaluation(stored, base),
        "training": _training(stored),
        "data": stored.data,
        "settings": stored.settings,
    }
    able: dict[str, Any] = _json_able(results)
    return able


def _training(stored: StoredRun) -> list[dict[str, Any]]:
    folder = stored.run_dir / "base_models"
    names = sorted(row["name"] for row in stored.rows if row["kind"] == "base")
    return [
        {"name": name, "epochs": read_history(folder / name / "history.jsonl")} for name in names
    ]


def _evaluation(stored: StoredRun, row: Row) -> dict[str, Any]:
    values, task = stored.probabilities[row["key"]], task_of_data(stored.data)
    found = task.evaluate(stored.labels, values, stored.thresholds.get(row["key"]))
    found["confusion_classes"] = list(task.confusion_names)
    found["reliability"] = task.reliability(stored.labels, values)
    return {"key": row["key"], "kind": row["kind"], "title": row["title"], **found}


def _natural(stored: StoredRun) -> dict[str, Any] | None:
    """The rows at the frequencies that classes had before the subset was drawn; None where alike.

    Keys: frequencies; of (how many functions); missing (classes that have no test function here);
    rows: key, accuracy, macro_precision, macro_f1, precision of each class. Of flags, each is
    weighted by itself, and accuracy, which needs all of them at once, is None.
    """
    names, before = stored.data["class_names"], stored.data["available"]["test"]
    n_before = _n_before(stored, before)
    shares = np.array([before.get(name, 0) / n_before for name in names])
    counts_here = task_of_data(stored.data).class_counts(stored.labels)
    here = np.array([counts_here[name] / len(stored.labels) for name in names])
    if np.allclose(here, shares, rtol=SAME_SHARES, atol=0):
        return None
    rows = [{"key": row["key"], **_weighted(stored, row, shares)} for row in stored.rows]
    missing = [names[number] for number in rows[0]["missing"]]
    return {"frequencies": before, "of": n_before, "missing": missing, "rows": rows}


def _n_before(stored: StoredRun, before: Mapping[str, int]) -> int:
    """Test functions before the subset was drawn; with flags, one may count often or not at all."""
    if not task_of_data(stored.data).has_thresholds:
        return sum(before.values())
    n_before: int = stored.data["functions"]["test"] + stored.data["dropped"]["test"][NOT_DRAWN]
    return n_before


def _weighted(stored: StoredRun, row: Row, shares: NDArray[np.float64]) -> dict[str, Any]:
    return task_of_data(stored.data).at_frequencies(stored.labels, stored.decisions(row), shares)


def _apart(stored: StoredRun) -> dict[str, Any]:
    """Accuracy and macro-F1 of every row where train does not hold the answer."""
    kept = ~stored.contamination.rows
    return {
        "threshold": stored.contamination.threshold,
        "n": int(kept.sum()),
        "rows": [{**_named(row), **_figures_on(stored, row, kept)} for row in stored.rows],
    }


def _named(row: Row) -> Row:
    return {name: row[name] for name in ("key", "kind", "name", "title")}


def _figures_on(stored: StoredRun, row: Row, chosen: NDArray[np.bool_]) -> dict[str, float | None]:
    """None where no function is left to measure on."""
    if not chosen.any():
        return {"accuracy": None, "macro_f1": None}
    task, decisions = task_of_data(stored.data), stored.decisions(row)
    found = task.accuracy_and_macro_f1(stored.labels[chosen], decisions[chosen])
    return dict(zip(("accuracy", "macro_f1"), found, strict=True))


def _comparisons(stored: StoredRun) -> list[dict[str, Any]]:
    """The best stack against its best member and the mean vote, on the same resampled rows."""
    stack = stored.first("stack")
    mean = next((row for row in stored.rows if row["key"] == "vote:mean"), None)
    others = [row for row in (stored.first("base"), mean) if row is not None]
    if stack is None or not others:
        return []
    predictions = {row["key"]: stored.decisions(row) for row in (stack, *others)}
    task, seed = task_of_data(stored.data), int(stored.settings.get("seed", 42))
    resampled = bootstrap(stored.labels, predictions, task, seed=seed)
    right = {key: task.right(stored.labels, said) for key, said in predictions.items()}
    return [_comparison(stack, other, right, resampled) for other in others]


def _comparison(
    stack: Row,
    other: Row,
    right: Mapping[str, NDArray[np.bool_]],
    resampled: Any,
) -> dict[str, Any]:
    ours, theirs = stack["key"], other["key"]
    differences = resampled[ours]["macro_f1"] - resampled[theirs]["macro_f1"]
    low, high = (float(value) for value in np.percentile(differences, [2.5, 97.5]))
    return {
        "stack": ours,
        "stack_title": stack["title"],
        "other": theirs,
        "other_kind": other["kind"],
        "other_title": other["title"],
        "difference": stack["macro_f1"] - other["macro_f1"],
        "low": low,
        "high": high,
        "holds_zero": low <= 0 <= high,
        "only_stack_right": int((right[ours] & ~right[theirs]).sum()),
        "only_other_right": int((right[theirs] & ~right[ours]).sum()),
    }


def _json_able(value: Any) -> Any:
    """The same value in JSON's types; numbers that are not finite become None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _json_able(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_able(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
