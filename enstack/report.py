"""Writes what a run found: report.html (one file), report.json, figures, the console's table."""

from __future__ import annotations

import base64
import csv
import importlib.resources
import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from enstack.errors import CheckpointError
from enstack.figures import SMALL_CLASS, draw_figures
from enstack.files import write_bytes, write_json, write_text
from enstack.metrics import at_frequencies, bootstrap, confusion_matrix, evaluate, reliability

Row = dict[str, Any]
REPORT_EDITION = 4  # raise when the page shows more, so that finished runs get it too

# In the order in which rows with equal macro-F1 are listed: the simplest first.
KINDS = {"baseline": "baseline", "base": "base model", "vote": "vote", "stack": "stack"}
TITLES = {
    "stack:lr": "logistic regression",
    "stack:svm": "SVM",
    "stack:rf": "random forest",
    "stack:xgboost": "XGBoost",
    "vote:mean": "mean of the base models",
    "baseline:tfidf_lr": "TF-IDF + logistic regression",
    "baseline:majority": "majority class",
}
REQUIRED_NUMBERS = ("n", "accuracy", "macro_f1")
BOUNDS = ("accuracy_low", "accuracy_high", "macro_f1_low", "macro_f1_high")
MACRO = ("macro_precision", "macro_recall")
WEIGHTED = ("weighted_precision", "weighted_recall", "weighted_f1")
OTHER_NUMBERS = (*BOUNDS, *MACRO, *WEIGHTED, "auc", "mcc")
MEASURES = ("accuracy", "AUC", "MCC")
EPOCH_NUMBERS = ("train_loss", "val_loss", "val_accuracy", "val_macro_f1")
DATA_KEYS = {"label_mode": str, "label_rule": str, "class_names": list, "counts": dict}
# The leaderboard and the probabilities behind it may differ by rounding, not by more than this.
SAME_ACCURACY = 0.01
SAME_SHARES = 0.005  # classes whose shares differ by less were not down-sampled


@dataclass(frozen=True)
class _NearTrain:
    """Which test rows (n,) bool have a near-duplicate in train, from which Jaccard similarity."""

    threshold: float
    rows: NDArray[np.bool_]


@dataclass(frozen=True)
class _Stored:
    """What a run folder holds: labels (n,), and (n, n_classes) probabilities of every row."""

    run_dir: Path
    settings: dict[str, Any]
    data: dict[str, Any]
    rows: list[Row]  # best macro-F1 first
    labels: NDArray[np.int64]
    probabilities: dict[str, NDArray[np.float32]]
    near_train: _NearTrain | None  # None in runs of versions that did not compare the splits

    def first(self, kind: str) -> Row | None:
        """The best row of a kind."""
        return next((row for row in self.rows if row["kind"] == kind), None)


def write_report(run_dir: Path) -> Path:
    """Write report/ of a run folder from what is stored there, and return report.html's path.

    Equal inputs give equal bytes. Raises CheckpointError when an input is missing or damaged.
    """
    results = load_results(run_dir)
    figures = draw_figures(results)
    folder = Path(run_dir) / "report"
    for name, png in figures.items():
        write_bytes(folder / "figures" / f"{name}.png", png)
    write_json(folder / "report.json", results)
    write_text(folder / "report.html", _page(results, figures))
    return folder / "report.html"


def load_results(run_dir: Path) -> dict[str, Any]:
    """Everything the report shows, as JSON-able values; what is undefined or not finite is None.

    Keys: run; leaderboard (best macro-F1 first); apart (its rows on the test functions without a
    near-duplicate in train, None where the splits were not compared); comparisons (the best stack
    with its best member and with the mean vote); chosen (evaluation of the leaderboard's first
    row); best_base (evaluation of the best base model, None where that is chosen); training; data;
    settings.
    Raises CheckpointError when an input is missing or damaged.
    """
    stored = _read_run(Path(run_dir))
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


def leaderboard_text(run_dir: Path) -> str:
    """The leaderboard as aligned text of at most 100 columns, best macro-F1 first."""
    rows = _read_leaderboard(Path(run_dir) / "stacking" / "leaderboard.csv")
    titles = [_fit(_printable(row["title"]), 30) for row in rows]
    width = max(map(len, [*titles, "name"]))
    head = _text_line("#", "kind", "name".ljust(width), "macro-F1", "95 % interval", *MEASURES)
    lines = [
        _text_line(
            str(rank),
            KINDS[row["kind"]],
            title.ljust(width),
            _number(row["macro_f1"]),
            _interval(row, "macro_f1"),
            *map(_number, (row["accuracy"], row["auc"], row["mcc"])),
        )
        for rank, (row, title) in enumerate(zip(rows, titles, strict=True), start=1)
    ]
    foot = f"Measured on {rows[0]['n']:,} test functions; the intervals are bootstrapped."
    return "\n".join([head, "-" * len(head), *lines, foot])


def _text_line(rank: str, kind: str, name: str, value: str, bounds: str, *others: str) -> str:
    tail = "".join(f"  {other:>{width}}" for other, width in zip(others, (8, 5, 6), strict=True))
    return f"{rank:>3}  {kind:<10}  {name}  {value:>8}  {bounds:>13}{tail}"


def _read_run(run_dir: Path) -> _Stored:
    data = _read_data(run_dir / "data.json")
    rows = _read_leaderboard(run_dir / "stacking" / "leaderboard.csv")
    path = run_dir / "stacking" / "test_probabilities.npz"
    labels, probabilities = _read_probabilities(path, rows)
    _check_probabilities(path, rows, labels, probabilities, len(data["class_names"]))
    return _Stored(
        run_dir=run_dir,
        settings=_read_object(run_dir / "config.json"),
        data=data,
        rows=rows,
        labels=labels.astype(np.int64),
        probabilities=probabilities,
        near_train=_read_near_train(run_dir / "stacking" / "near_train.npz", len(labels)),
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
    return {"notes": [], "truncated": {}, "holdout": {}, **data}


def _read_leaderboard(path: Path) -> list[Row]:
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


def _read_near_train(path: Path, n_rows: int) -> _NearTrain | None:
    if not path.exists():
        return None
    arrays = _read_arrays(path, ["near", "threshold"])
    near, threshold = arrays["near"], arrays["threshold"]
    if near.shape != (n_rows,) or near.dtype != bool or threshold.shape != ():
        raise _broken(path, f"it must say yes or no of {n_rows} rows, and from which Jaccard on")
    return _NearTrain(float(threshold), near)


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


def _check_probabilities(
    path: Path,
    rows: Sequence[Row],
    labels: NDArray[Any],
    probabilities: Mapping[str, NDArray[Any]],
    n_classes: int,
) -> None:
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise _broken(path, "labels must be one row of class numbers")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise _broken(path, f"labels must be below {n_classes}, as data.json has that many classes")
    for row in rows:
        values = probabilities[row["key"]]
        if values.shape != (len(labels), n_classes) or not np.isfinite(values).all():
            expected = f"{len(labels)} x {n_classes} finite numbers"
            raise _broken(path, f"{row['key']} must be {expected}, found shape {values.shape}")
        accuracy = float(np.mean(values.argmax(axis=1) == labels))
        if abs(accuracy - row["accuracy"]) > SAME_ACCURACY:
            stated = f"leaderboard.csv says {row['accuracy']:.3f}"
            raise _broken(path, f"{row['key']} has accuracy {accuracy:.3f}, {stated}")


def _training(stored: _Stored) -> list[dict[str, Any]]:
    folder = stored.run_dir / "base_models"
    names = sorted(row["name"] for row in stored.rows if row["kind"] == "base")
    return [
        {"name": name, "epochs": _read_history(folder / name / "history.jsonl")} for name in names
    ]


def _read_history(path: Path) -> list[dict[str, Any]]:
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


def _evaluation(stored: _Stored, row: Row) -> dict[str, Any]:
    values = stored.probabilities[row["key"]]
    found = evaluate(stored.labels, values, tuple(stored.data["class_names"]))
    found["reliability"] = reliability(stored.labels, values)
    return {"key": row["key"], "kind": row["kind"], "title": row["title"], **found}


def _natural(stored: _Stored) -> dict[str, Any] | None:
    """The rows at the frequencies that classes had before the subset was drawn; None where alike.

    Keys: frequencies; missing (classes that have no test function here); rows: key, accuracy,
    macro_precision, macro_f1, precision of each class.
    """
    names = stored.data["class_names"]
    before = stored.data.get("available", {}).get("test")
    if before is None:
        return None
    frequencies = np.array([before.get(name, 0) for name in names], dtype=np.float64)
    here = np.bincount(stored.labels, minlength=len(names))
    if np.allclose(frequencies / frequencies.sum(), here / here.sum(), atol=SAME_SHARES):
        return None
    rows = []
    for row in stored.rows:
        predicted = stored.probabilities[row["key"]].argmax(axis=1)
        counts = confusion_matrix(stored.labels, predicted, len(names))
        rows.append({"key": row["key"], **at_frequencies(counts, frequencies)})
    missing = [names[number] for number in rows[0]["missing"]]
    return {"frequencies": before, "missing": missing, "rows": rows}


def _apart(stored: _Stored) -> dict[str, Any] | None:
    """Accuracy and macro-F1 of every row where train does not hold the answer."""
    if stored.near_train is None:
        return None
    kept = ~stored.near_train.rows
    return {
        "threshold": stored.near_train.threshold,
        "n": int(kept.sum()),
        "rows": [{**_named(row), **_figures_on(stored, row, kept)} for row in stored.rows],
    }


def _named(row: Row) -> Row:
    return {name: row[name] for name in ("key", "kind", "name", "title")}


def _figures_on(stored: _Stored, row: Row, chosen: NDArray[np.bool_]) -> dict[str, float | None]:
    """None where no function is left to measure on."""
    if not chosen.any():
        return {"accuracy": None, "macro_f1": None}
    values, classes = stored.probabilities[row["key"]][chosen], stored.data["class_names"]
    found = evaluate(stored.labels[chosen], values, tuple(classes))
    return {"accuracy": found["accuracy"], "macro_f1": found["macro_f1"]}


def _comparisons(stored: _Stored) -> list[dict[str, Any]]:
    """The best stack against its best member and the mean vote, on the same resampled rows."""
    stack = stored.first("stack")
    mean = next((row for row in stored.rows if row["key"] == "vote:mean"), None)
    others = [row for row in (stored.first("base"), mean) if row is not None]
    if stack is None or not others:
        return []
    predictions = {
        row["key"]: stored.probabilities[row["key"]].argmax(axis=1) for row in (stack, *others)
    }
    n_classes, seed = len(stored.data["class_names"]), int(stored.settings.get("seed", 42))
    resampled = bootstrap(stored.labels, predictions, n_classes, seed=seed)
    return [_comparison(stack, other, predictions, stored.labels, resampled) for other in others]


def _comparison(
    stack: Row,
    other: Row,
    predictions: Mapping[str, NDArray[Any]],
    labels: NDArray[np.int64],
    resampled: Any,
) -> dict[str, Any]:
    ours, theirs = stack["key"], other["key"]
    differences = resampled[ours]["macro_f1"] - resampled[theirs]["macro_f1"]
    low, high = (float(value) for value in np.percentile(differences, [2.5, 97.5]))
    right = {key: predictions[key] == labels for key in (ours, theirs)}
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


def _number(value: float | None, digits: int = 3) -> str:
    """A number for people; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _interval(row: Mapping[str, Any], measure: str) -> str:
    low, high = (_number(row[f"{measure}_{end}"]) for end in ("low", "high"))
    return "–" if low == high == "–" else f"{low}–{high}"


def _printable(text: str) -> str:
    """Control characters of a name must not reach a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _fit(text: str, width: int) -> str:
    half = (width - 1) // 2
    return text if len(text) <= width else f"{text[:half]}…{text[half - width + 1 :]}"


def _page(results: Mapping[str, Any], figures: Mapping[str, bytes]) -> str:
    """The page, with every figure in it; what users named is escaped by the template engine."""
    template = importlib.resources.files("enstack").joinpath("report.html.j2")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=_number, interval=_interval, place=_place)
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        results,
        kinds=KINDS,
        small_class=SMALL_CLASS,
        axis=_axis(results["leaderboard"]),
        reach=_reach(results["comparisons"]),
        images={name: base64.b64encode(png).decode() for name, png in figures.items()},
    )


def _axis(rows: Sequence[Row]) -> tuple[float, float]:
    """Ends of the axis that the macro-F1 intervals are drawn on.

    The majority class is left out: far below all else, it would squeeze what is to be compared.
    """
    shown = [row for row in rows if row["key"] != "baseline:majority"] or list(rows)
    columns = ("macro_f1", "macro_f1_low", "macro_f1_high")
    values = [row[column] for row in shown for column in columns if row[column] is not None]
    # Twentieths, and never an axis without length, though all values be one.
    low, high = math.floor(min(values) * 20 - 1e-9), math.ceil(max(values) * 20 + 1e-9)
    return max(low, 0) / 20, min(high, 20) / 20


def _reach(comparisons: Sequence[Mapping[str, Any]]) -> float:
    """How far the axis of the differences goes to either side of zero."""
    ends: list[float] = [
        abs(pair[end]) for pair in comparisons for end in ("low", "high", "difference")
    ]
    return max([*ends, 0.01]) * 1.1


def _place(value: float, axis: tuple[float, float]) -> float:
    """Where a value lies on an axis, in percent of its length; beyond the ends, at the end."""
    share = (value - axis[0]) / (axis[1] - axis[0])
    return round(100 * min(max(share, 0.0), 1.0), 2)
