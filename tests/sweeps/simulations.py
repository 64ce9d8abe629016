"""Simulates test sets whose truth is known: do intervals cover, are p-values uniform, and the rest?

python -m tests.sweeps.simulations [--repetitions N] [--parts NAME...] [--write]

Two models that are equal, or known to differ, judge rows drawn from a known population, some with
classes of a few rows or with rows that depend on each other; enstack.statistics is asked about each
draw. Prints a table of what it says too often or too seldom; --write puts it into docs/statistics/
with a picture. Exits 1 where a figure is out of its bounds.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.optimize import brentq
from scipy.stats import kstest
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier

from enstack.metrics.one_class import OneClass
from enstack.plots import COLOURS, STYLE
from enstack.rounding import percent
from enstack.stacking.leaps import leaps as leaps_of
from enstack.stacking.meta_features import BaseModelProbabilities
from enstack.stacking.stack import fit_meta_classifier
from enstack.statistics.bootstrap import Difference, difference, intervals
from enstack.statistics.cells import MEASURES, measured, paired, single
from enstack.statistics.power import smallest_shown
from enstack.statistics.winner import corrected
from tests.support.leaks import rows_with_leak
from tests.support.populations import POPULATIONS, Population

FOLDER = Path(__file__).parents[2] / "docs" / "statistics"
N_RESAMPLES = 500  # a fourth of a run's: thousands of test sets in minutes
MANY = 400_000  # rows by which the truth is known
NAMES = ("xgboost", "rf", "lr", "svm")

rows: list[dict[str, object]] = []
curves: dict[str, dict[str, list[float]]] = defaultdict(dict)


def note(what: str, where: str, value: float, low: float, high: float, n: int) -> None:
    """One line of the table; low and high: what is allowed."""
    ok = low <= value <= high
    row = {"what": what, "where": where, "value": round(float(value), 4), "from": low, "to": high}
    rows.append({**row, "repetitions": n, "within": ok})
    print(
        f"{what:36} {where:46} {value:8.4f}  {low:g} to {high:g}{'' if ok else '  OUT'}", flush=True
    )


def truth(population: Population, n: int = MANY) -> Callable[[str, np.ndarray | None], np.ndarray]:
    """The measure of both models on a great many rows, of the classes that are asked for."""
    cells = paired(population.task, *population.draw(n, np.random.RandomState(0)))
    return lambda measure, classes: measured(population.task, cells.sums, measure, classes)


def differences(population: Population, n: int, *, blind: bool = False) -> None:
    """Whether intervals of a difference cover, and p of equal models is as often below .05."""
    random, true = np.random.RandomState(1), truth(population)
    covered, ps = defaultdict(list), defaultdict(list)
    for repetition in range(n):
        labels, *said, clusters = population.draw_test_set(random)
        cells = paired(population.task, labels, *said, None if blind else clusters)
        classes = population.task.counts(labels) >= population.counted
        asked = classes if population.counted > 1 else None
        for measure in MEASURES:
            first, second = true(measure, classes)
            found = difference(
                cells, measure, classes=asked, seed=repetition, n_resamples=N_RESAMPLES
            )
            covered[measure].append(found.low <= first - second <= found.high)
            ps[measure].append(found.p)
    for measure in MEASURES:
        where = f"{population.name}, {measure}" + (", clusters ignored" if blind else "")
        false = float(np.mean(np.array(ps[measure]) < 0.05))
        if blind:
            note("p < .05, equal models, wrongly asked", where, false, 0, 1, n)
        else:
            note("interval of a difference covers", where, np.mean(covered[measure]), 0.935, 1, n)
        if not blind and not population.gain:
            note("p < .05, equal models", where, false, 0, 0.065, n)
            distance = kstest(ps[measure], "uniform").statistic
            note("p from uniform, at most", where, distance, 0, 1, n)
        if measure == "macro_f1" and not population.gain:
            name = population.name + (", clusters ignored" if blind else "")
            curves["p of equal models"][name] = ps[measure]


def figures(population: Population, n: int) -> None:
    """Whether the leaderboard's intervals cover."""
    random, true, task = np.random.RandomState(2), truth(population), population.task
    covered = defaultdict(list)
    for repetition in range(n):
        labels, said, _, clusters = population.draw_test_set(random)
        found = intervals(
            labels, {"m": said}, task, clusters=clusters, seed=repetition, n_resamples=1000
        )["m"]
        occurs = task.counts(labels) > 0
        for measure, (low, high) in found.items():
            covered[measure].append(low <= true(measure, occurs)[0] <= high)
    # Where a few clusters have most rows, resamples of clusters spread a little too little.
    least = 0.92 if population.uneven else 0.93
    for measure, each in covered.items():
        where = f"{population.name}, {measure}"
        note("interval of a figure covers", where, np.mean(each), least, 1, n)


def power(population: Population, n: int) -> None:
    """How often a gain as small as a test set could have shown is shown."""

    def asked(n_rows: int, drawn: Population, random: np.random.RandomState) -> Difference:
        labels, first, second = drawn.draw(n_rows, random)
        classes = np.array(drawn.shares) * drawn.n >= drawn.counted
        cells = paired(drawn.task, labels, first, second)
        return difference(cells, "macro_f1", classes=classes, seed=0, n_resamples=N_RESAMPLES)

    def whole(gain: float) -> Difference:
        found = asked(MANY, replace(population, gain=gain), np.random.RandomState(0))
        wider = np.sqrt(MANY / population.n)
        half = (found.high - found.value) * wider
        ends = {"low": found.value - half, "high": found.value + half}
        return replace(found, **ends, standard_error=found.standard_error * wider)

    def short_of(gain: float) -> float:
        found = whole(gain)
        return found.value - (smallest_shown(found) or 0)

    gain = float(brentq(short_of, 0.0, 0.25, xtol=1e-4))
    random, better = np.random.RandomState(3), replace(population, gain=gain)
    found = [asked(population.n, better, random) for _ in range(n)]
    note(
        "power at the smallest shown",
        population.name,
        np.mean([d.low > 0 for d in found]),
        0.75,
        0.85,
        n,
    )
    said = float(np.mean([smallest_shown(d) or 0 for d in found]))
    note("smallest shown, said over true", population.name, said / whole(gain).value, 0.9, 1.1, n)


def winner(n_rows: int, measure: str, n: int) -> None:
    """How far the best of 30 equal models is from what it is, as measured and as corrected."""
    population = Population("", n_rows, (0.6, 0.3, 0.1), (0.85, 0.8, 0.6))
    as_measured, after = [], []
    for repetition in range(n):
        labels, models = population.draw_models(30, np.random.RandomState(repetition))
        of_all = [
            measured(population.task, single(population.task, labels, made).sums[0], measure)
            for made in models.values()
        ]
        found = corrected(
            population.task, labels, models, measure, seed=repetition, n_resamples=200
        )
        # All models are as good: their mean on the same rows is the truth with the rows' own luck.
        as_measured.append(found["as_measured"] - np.mean(of_all))
        after.append(found["corrected"] - np.mean(of_all))
    where = f"best of 30 equal, {n_rows:,} functions, {measure}"
    note("winner as measured, too high by", where, np.mean(as_measured), 0, 1, n)
    note("winner corrected, too high by", where, np.mean(after), -0.002, 0.002, n)
    curves["the winner's figure"][f"{n_rows:,}, {measure}"] = [np.mean(as_measured), np.mean(after)]


def without_guard(n: int) -> None:
    """The best stack's figure on the rows it was fitted on and chosen by, and on new rows.

    Base models are forests that know their training rows by heart, as a language model after some
    epochs does; with the guard, stacks get rows that no base model has seen, in two halves.
    """
    gaps = defaultdict(list)
    for repetition in range(n):
        x, y = make_classification(
            9000, 20, n_informative=8, n_classes=4, flip_y=0.15, random_state=repetition
        )
        train, unseen, test = np.split(np.arange(9000), [2000, 3000])
        forests = [
            RandomForestClassifier(30, max_features=width, random_state=repetition).fit(
                x[train], y[train]
            )
            for width in (1, 4, 12)
        ]

        def said(chosen: np.ndarray, forests: list = forests, x: np.ndarray = x) -> list:
            return [
                BaseModelProbabilities(
                    str(number),
                    chosen.astype(str),
                    forest.predict_proba(x[chosen]).astype(np.float32),
                    np.zeros(len(chosen), bool),
                )
                for number, forest in enumerate(forests)
            ]

        for name, fit, judge in (
            ("off", train, train),
            ("on", unseen[:500], unseen[500:]),
        ):
            claimed, real = _best_stack(said, y, fit, judge, test)
            gaps[name, "claimed"].append(claimed)
            gaps[name, "true"].append(real)
    for name in ("off", "on"):
        claimed, real = np.mean(gaps[name, "claimed"]), np.mean(gaps[name, "true"])
        note(f"guard {name}: the chosen stack claims", "macro_f1", claimed, 0, 1, n)
        note(f"guard {name}: and has on new rows", "macro_f1", real, 0, 1, n)
        curves["the leak guard"][f"guard {name}"] = [claimed, real]


def _best_stack(
    said: Callable, y: np.ndarray, fit: np.ndarray, judge: np.ndarray, test: np.ndarray
) -> tuple[float, float]:
    """Macro-F1 of the stack that is best on the rows that judge, there and on test."""
    task = OneClass(tuple("abcd"))
    stacks = [fit_meta_classifier(name, said(fit), y[fit], task=task, seed=0) for name in NAMES[:3]]

    def macro_f1(stack: Any, chosen: np.ndarray) -> float:
        decisions = stack.predict_proba(said(chosen), task).argmax(axis=1)
        return task.accuracy_and_macro_f1(y[chosen], decisions)[1]

    best = max(stacks, key=lambda stack: macro_f1(stack, judge))
    return macro_f1(best, judge), macro_f1(best, test)


def leaks(sizes: tuple[int, int], n: int) -> None:
    """How often a base model is told that knows a share of test's labels, and how often another.

    sizes: rows that stacks are fitted on, and of test.
    """
    for skill in (1.0, 2.2):
        for leak in (0.0, 0.1, 0.25, 0.5, 1.0):
            random, asked, others = np.random.RandomState(4), 0, 0
            for _ in range(n):
                before = rows_with_leak(sizes[0], random, skill=skill)
                on_test = rows_with_leak(sizes[1], random, skill=skill, leak=leak)
                titles = {leap.title for leap in leaps_of(before, on_test)}
                asked, others = asked + ("asked" in titles), others + bool(titles - {"asked"})
            right = "46" if skill == 1 else "68"
            where = f"right of {right} %, {sizes[0]:,} rows before, {sizes[1]:,} of test"
            most = 1 if leak else 0.005
            note(f"leak of {percent(leak, 0)} of test's labels told", where, asked / n, 0, most, n)
            note(
                f"leak of {percent(leak, 0)}, an honest model told", where, others / n, 0, 0.005, n
            )


def draw_picture() -> None:
    """Three panels: p of equal models, the winner's figure, the leak guard."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.4), layout="constrained")
        FigureCanvasAgg(figure)
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
        grid = np.linspace(0, 1, 101)
        for number, (name, ps) in enumerate(curves["p of equal models"].items()):
            ignored = "ignored" in name
            left.plot(
                grid,
                [np.mean(np.array(ps) <= p) for p in grid],
                color=COLOURS[1] if ignored else COLOURS[0],
                linestyle="--" if ignored else "-",
                alpha=0.9 if ignored else 0.6,
                label=("clusters ignored" if ignored else "as asked")
                if number in (0, len(curves["p of equal models"]) - 1)
                else None,
            )
        left.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":")
        left.set(
            title="Equal models: share of p at most x", xlabel="p", ylabel="share of test sets"
        )
        left.legend()
        for axis, title, labels in (
            (middle, "Best of 30 equal models", ("as measured", "corrected")),
            (right, "Stack fitted and chosen", ("claimed", "on new rows")),
        ):
            named = curves["the winner's figure" if axis is middle else "the leak guard"]
            at = np.arange(len(named))
            for number, label in enumerate(labels):
                axis.bar(
                    at + 0.4 * number,
                    [pair[number] for pair in named.values()],
                    0.4,
                    label=label,
                    color=COLOURS[1 - number],
                    hatch="" if number else "//",
                    edgecolor="white",
                )
            axis.set_xticks(
                at + 0.2,
                [name.replace(", ", "\n").replace("macro_f1", "macro-F1") for name in named],
            )
            axis.axhline(0, color="black", linewidth=0.8)
            axis.set(title=title, ylabel="too high by" if axis is middle else "macro-F1")
            axis.legend()
        figure.savefig(FOLDER / "simulations.png", dpi=130, metadata={"Software": None})


def all_differences(n: int) -> None:
    """Differences and figures in every population, and one that is better."""
    for population in POPULATIONS:
        differences(population, n)
        figures(population, n)
    for population in POPULATIONS:
        if population.cluster > 1:
            differences(population, n // 4, blind=True)
    differences(replace(POPULATIONS[0], name="one better, even classes", gain=0.1), n)


def all_power(n: int) -> None:
    """Power in three populations."""
    for population in (POPULATIONS[0], POPULATIONS[2], POPULATIONS[-1]):
        power(population, n)


def all_winners(n: int) -> None:
    """The best of 30 models, on few functions and on many."""
    for n_rows in (729, 3900):
        for measure in ("accuracy", "macro_f1"):
            winner(n_rows, measure, max(20, n // 5))


def all_leaks(n: int) -> None:
    """Leaks into runs of three sizes: toy, Juliet, the paper's."""
    for sizes in ((150, 300), (430, 729), (1950, 3900)):
        leaks(sizes, max(20, n // 10))


PARTS: dict[str, Callable[[int], None]] = {
    "differences": all_differences,
    "power": all_power,
    "winners": all_winners,
    "guard": lambda n: without_guard(max(4, n // 200)),
    "leaks": all_leaks,
}


def write(whole: bool) -> None:
    """The table into docs/, what was simulated in it anew; the picture if all was."""
    FOLDER.mkdir(exist_ok=True)
    path, found = FOLDER / "simulations.csv", pd.DataFrame(rows)
    if whole:
        draw_picture()
    elif path.exists():
        found = pd.concat([pd.read_csv(path), found]).drop_duplicates(
            ["what", "where"], keep="last"
        )
    found.to_csv(path, index=False)


def main() -> int:
    """Run all, or some parts; 1 where something is out of its bounds."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.sweeps.simulations", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--write", action="store_true", help="the table and the picture into docs/")
    given = parser.parse_args()
    for part in given.parts:
        PARTS[part](given.repetitions)
    if given.write:
        write(set(given.parts) == set(PARTS))
    return int(not all(row["within"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
