"""How sure a figure is, and a difference of two models on the same rows: bootstraps over cells.

Which kind of interval covers was measured: docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from enstack.metrics.counts import accuracy, by_class, f1_of_classes, macro_f1, ratio
from enstack.metrics.label_task import LabelTask
from enstack.statistics.cells import MACRO_F1_OF_ENOUGH, Cells, PairedCells, measured, single

__all__ = [
    "LARGEST",
    "N_RESAMPLES",
    "Difference",
    "difference",
    "interval",
    "intervals",
    "unmoved_error",
]

N_RESAMPLES = 2000
MACRO_F1S = ("macro_f1", MACRO_F1_OF_ENOUGH)
LARGEST = {**dict.fromkeys(MACRO_F1S, 1), "accuracy": 1, "mcc": 2}  # that two models can be apart
ROUNDING = 1e-12  # of figures that are the same in every resample


@dataclass(frozen=True)
class Difference:
    """A measure of the first model less that of the second, and how sure that is.

    low, high: 95 % interval, so many standard errors on either side of the value, as far as figures
    go; p: two-sided, of no difference, below .05 where the interval leaves out 0. standard_error: 0
    where no row tells the models apart, and then nothing is shown: p is 1.
    """

    value: float
    low: float
    high: float
    p: float
    standard_error: float


def difference(
    cells: PairedCells,
    measure: str,
    *,
    classes: np.ndarray | None = None,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> Difference:
    """How far two models are apart on the same rows.

    measure: "macro_f1", "accuracy" or "mcc"; classes: (k,) bool, over which macro-F1 averages, None
    for all. Both models see the same resamples. Method: the standard error of Efron's bootstrap,
    with Student's t for the rows, or clusters, that it was estimated from (Hesterberg 2015); where
    every resample has the same difference, unmoved_error.
    """
    first, second = measured(cells.task, cells.sums, measure, classes)
    drawn = np.concatenate(
        [
            measured(cells.task, counts, measure, classes)
            for counts in cells.resampled(seed=seed, n_resamples=n_resamples)
        ],
        axis=-1,
    )
    value, n_units = float(first - second), _independent_rows(cells, measure, classes)
    apart, degrees = drawn[0] - drawn[1], _degrees_of_freedom(n_units)
    moved = np.ptp(apart) > ROUNDING
    error = float(apart.std(ddof=1)) if moved else unmoved_error(value, n_units)
    half = float(student.ppf(0.975, degrees)) * error
    p = float(2 * student.sf(abs(value) / error, degrees)) if error else 1.0
    most = LARGEST[measure]
    return Difference(value, max(value - half, -most), min(value + half, most), p, error)


def unmoved_error(value: float, n_units: float) -> float:
    """The standard error of a mean of units that all have this one value.

    Their spread is not known, and one or two of them show nothing. That of units of which each has
    the value or its negative, with one more unit, and Student's t call six of six a difference, and
    five of five none, as the sign test does.
    """
    return abs(value) / float(np.sqrt(n_units + 1))


def intervals(
    labels: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    task: LabelTask,
    *,
    clusters: np.ndarray | None = None,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> dict[str, dict[str, tuple[float, float]]]:
    """95 % intervals (low, high) of accuracy and macro-F1 of each model.

    labels and every predictions[name]: (n,) int, or (n, k) bool flags; clusters: see cells.paired.
    Returns {name: {"accuracy": (low, high), "macro_f1": (low, high)}}, the figure between them.
    Another model beside it changes nothing. Method: expanded percentiles of the Bayesian bootstrap
    (Rubin 1981) with Jeffreys' prior on accuracy and on each class's F1.
    """
    return {
        name: _intervals(single(task, labels, decisions, clusters), None, seed, n_resamples)
        for name, decisions in predictions.items()
    }


def interval(
    cells: Cells, measure: str, *, classes: np.ndarray | None = None, seed: int
) -> tuple[float, float] | None:
    """The 95 % interval of one model's measure; None where resamples do not move it.

    cells: of one model; measure and classes: as of difference. Accuracy and macro-F1 as in
    intervals; MCC, which no prior is known for: the standard errors of difference.
    """
    if measure != "mcc":
        of = "accuracy" if measure == "accuracy" else "macro_f1"
        return _intervals(cells, classes, seed, N_RESAMPLES)[of]
    blocks = cells.resampled(seed=seed, n_resamples=N_RESAMPLES)
    drawn = np.concatenate([cells.task.mcc_of_counts(counts[0]) for counts in blocks])
    degrees = _degrees_of_freedom(_independent_rows(cells, measure, classes))
    figure = cells.task.mcc_of_counts(cells.sums[0])
    half = student.ppf(0.975, degrees) * drawn.std(ddof=1)
    return (max(-1.0, float(figure - half)), min(1.0, float(figure + half))) if half else None


def _intervals(
    cells: Cells, classes: np.ndarray | None, seed: int, n_resamples: int
) -> dict[str, tuple[float, float]]:
    whole, occurs = cells.sums[0], f1_of_classes(cells.sums[0])[1]
    if classes is not None:
        occurs = occurs & classes
    # A stream of its own: how many resamples are drawn at once changes none of its draws either.
    random, blocks, never = np.random.RandomState([seed, 1]), [], _never_given(whole)
    for (counts,) in cells.reweighted(seed=seed, n_resamples=n_resamples):
        prior = random.gamma(0.5, size=(len(counts), 1 + len(occurs), 2))
        prior[:, 1:, 0] *= ~never
        blocks.append(_with_prior(counts, prior * cells.rows_together, occurs))
    shares, f1 = np.concatenate(blocks, axis=1)
    figure = macro_f1(whole, classes)
    # The prior pulls each class towards one half, and a mean of classes does not outweigh that: a
    # model that misses most of them would lie below its own interval. Half of the pull is taken
    # back: with none left, a model that hits nearly all is held too high (docs/statistics.md).
    f1 -= (f1.mean() - figure) / 2
    return {
        "accuracy": _ends(shares, accuracy(whole), _independent_rows(cells, "accuracy", None)),
        "macro_f1": _ends(f1, figure, _independent_rows(cells, "macro_f1", classes)),
    }


def _never_given(counts: np.ndarray) -> np.ndarray:
    """The classes (k,) bool that a model never gives that says the same of every function.

    Of such a model it is known that it hits none of them; of another one it is not.
    """
    _, _, given = by_class(counts)
    alike = ((given == 0) | (given == counts[0])).all()
    never: np.ndarray = alike & (given == 0)
    return never


def _independent_rows(cells: Cells, measure: str, classes: np.ndarray | None) -> float:
    """As many as would tell as much as rows in clusters; of all but accuracy, for each class."""
    rows = cells.n_rows / cells.rows_together
    if measure == "accuracy":
        return rows
    occurs = f1_of_classes(cells.sums[0])[1]
    return rows / max(1, int((occurs if classes is None else occurs & classes).sum()))


def _degrees_of_freedom(n_units: float) -> float:
    return max(1.0, n_units - 1)


def _with_prior(counts: np.ndarray, prior: np.ndarray, occurs: np.ndarray) -> np.ndarray:
    """Accuracy and macro-F1 (2, b) of counts (b, 2 + 3k) and of what nobody has seen.

    prior: (b, 1 + k, 2), rows right and rows wrong, of all and then of each class: half a row of
    either in the mean, or half a cluster. That is Jeffreys' prior of a share: of a class of three
    rows, all hit, it is not known that it is always hit. occurs: (k,) bool.
    """
    right, wrong = np.moveaxis(prior, -1, 0)
    hit, having, given = by_class(counts)
    # Of a class, a row is wrong that has it or that was given it: having + given counts one each.
    f1 = ratio(2 * (hit + right[:, 1:]), having + given + 2 * right[:, 1:] + wrong[:, 1:])
    rows = counts[:, 0] + right[:, 0] + wrong[:, 0]
    mean = ratio((f1 * occurs).sum(axis=1), np.full(len(f1), occurs.sum()))
    return np.stack([(counts[:, 1] + right[:, 0]) / rows, mean])


def _ends(values: np.ndarray, figure: np.ndarray, n_units: float) -> tuple[float, float]:
    """The percentiles between which a figure lies, itself among them.

    n_units: independent rows behind it, of macro-F1 for each class. Resamples of few spread too
    little, so the 2.5 % move outward as Student's t does from the normal (Hesterberg 2015).
    """
    share = norm.cdf(student.ppf(0.025, _degrees_of_freedom(n_units)))
    low, high = np.quantile(values, [share, 1 - share])
    return max(0.0, float(min(low, figure))), min(1.0, float(max(high, figure)))
