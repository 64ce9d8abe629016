"""A bundle's README.md: a model card for the hub, with what was measured and what was not."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import EvalResult, ModelCardData

from enstack.bundle.honesty import honest_line, unknowns
from enstack.bundle.int8 import StoredInt8
from enstack.bundle.profile import ScanningProfile
from enstack.bundle.stored_model import StoredModel
from enstack.config import HUB_IDS, TINY_MODELS, base_model_names
from enstack.console import printable
from enstack.counting import counted, joined
from enstack.data.weaknesses import MEANINGS
from enstack.reporting.leaderboard import (
    MEASURES,
    LeaderboardRow,
    interval,
    number,
    read_report_leaderboard,
)
from enstack.run_folder import RunFolder
from enstack.stacking.titles import title
from enstack.storage.files import read_json_object

__all__ = ["model_card"]

# Beside the model: what mere words tell, and what the most frequent answer is right about.
BESIDE = ("baseline:tfidf_lr", "baseline:majority", "baseline:frequency")


def model_card(
    run: RunFolder,
    stored: StoredModel,
    profile: ScanningProfile,
    made_with: Mapping[str, Any],
    int8: StoredInt8 | None = None,
) -> str:
    """The card of a run's model as Markdown, with the hub's metadata ahead of it."""
    rows = {row.key: row for row in read_report_leaderboard(run.report_data)}
    report = read_json_object(run.report_data)
    evaluations = [*report.get("evaluations", []), report.get("chosen") or {}]
    evaluation: dict[str, Any] = next(
        (one for one in evaluations if one.get("key") == stored.name), {}
    )
    row = rows.get(stored.name)
    name, settings = run.path.resolve().name, run.settings()
    beside = [rows[key] for key in BESIDE if key in rows]
    return (
        _environment()
        .get_template("card.md.j2")
        .render(
            metadata=_metadata(name, row, settings).to_yaml(),
            name=name,
            title=title(stored.name),
            members=[one.name for one in stored.base_models],
            about=_without_paths(report.get("about") or "", settings),
            honest=honest_line(profile),
            measured=_measured([row, *beside]) if row else [],
            n_test=row.n if row else 0,
            per_class=evaluation.get("per_class", []),
            meanings=MEANINGS,
            data=run.data_record(),
            counts=_counts(run.data_record()),
            source=profile.source,
            settings=settings,
            limits=[*(one["text"] for one in report.get("alerts", [])), *unknowns(profile)],
            verdict=(report.get("verdict") or {}).get("sentence"),
            made_with=made_with,
            int8=int8,
            base_models=_origins(settings, [one.name for one in stored.base_models]),
        )
    )


def _without_paths(text: str, settings: Mapping[str, Any]) -> str:
    """A text without the place of the data on the machine of whoever trained."""
    place = str(settings["data_dir"])
    return text.replace(place, Path(place).name) if place.startswith("/") else text


def _metadata(name: str, row: LeaderboardRow | None, settings: Mapping[str, Any]) -> ModelCardData:
    """What the hub reads: the task, the base models that it knows, the figures."""
    hub = [HUB_IDS[model] for model in settings["base_models"] if model in HUB_IDS]
    results = [] if row is None else [_result(row, one) for one in ("macro_f1", "accuracy")]
    return ModelCardData(
        language="code",
        license="other",
        license_name="of-the-base-models-and-the-data",
        license_link="README.md#licence",
        library_name="enstack",
        pipeline_tag="text-classification",
        tags=["vulnerability-detection", "c", "cpp", "ensemble", "enstack"],
        base_model=hub or None,
        model_name=name if results else None,
        eval_results=results or None,
    )


def _result(row: LeaderboardRow, measure: str) -> EvalResult:
    return EvalResult(
        task_type="text-classification",
        dataset_type="functions",
        dataset_name=f"test split ({counted(row.n, 'function')})",
        metric_type="f1" if measure == "macro_f1" else measure,
        metric_name="macro-F1" if measure == "macro_f1" else measure,
        metric_value=round(float(getattr(row, measure)), 4),
    )


def _origins(settings: Mapping[str, Any], members: list[str]) -> dict[str, str]:
    """Where each base model came from, by its name in the run."""
    models = settings["base_models"]
    names = dict(zip(base_model_names(models), models, strict=True))
    return {name: _origin(str(names[name])) for name in members if name in names}


def _origin(model: str) -> str:
    if model in TINY_MODELS:
        return "a tiny encoder with random weights, made by enstack"
    return HUB_IDS.get(model, "a local folder" if model.startswith("/") else model)


@functools.cache
def _environment() -> jinja2.Environment:
    # Markdown: nothing is escaped as HTML, but no name may start a line or a cell of its own.
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("enstack.bundle", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(number=number, plain=_plain)
    environment.globals.update(counted=counted, joined=joined, line=_line, rule=_rule)
    return environment


def _measured(rows: Sequence[LeaderboardRow]) -> list[list[str]]:
    """The rows of a leaderboard as a table's, its head first."""
    head = [[one.title, *(["95 % interval"] if one.has_interval else [])] for one in MEASURES]
    return [["", *chain(*head)], *([row.title, *_figures(row)] for row in rows)]


def _figures(row: LeaderboardRow) -> Iterator[str]:
    for one in MEASURES:
        yield number(getattr(row, one.field))
        if one.has_interval:
            yield interval(row, one.field)


def _counts(data: Mapping[str, Any]) -> list[list[str]]:
    """Functions of each class and split as a table's rows, its head first."""
    functions, counts = data["functions"], data["counts"]
    by_class = (
        [name, *(f"{counts[split].get(name, 0):,}" for split in functions)]
        for name in data["class_names"]
    )
    return [
        ["functions", *functions],
        ["all", *(f"{n:,}" for n in functions.values())],
        *by_class,
    ]


def _line(cells: Sequence[str]) -> str:
    """A row of a table in Markdown."""
    return "| " + " | ".join(map(_plain, cells)) + " |"


def _rule(cells: Sequence[str]) -> str:
    """What stands between a table's head and its rows."""
    return "|" + "---|" * len(cells)


def _plain(text: object) -> str:
    """A text in one line of Markdown, in which no name of a user's is taken for a mark."""
    line = printable(" ".join(str(text).split()))
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", line)
