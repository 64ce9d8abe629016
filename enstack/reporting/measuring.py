"""Measures one leaderboard row on test: every figure, curve and promise that a report shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enstack.metrics.curves import precision_recall_points, risk_coverage
from enstack.metrics.detection import detection
from enstack.metrics.flags import two_sided
from enstack.metrics.pairs import pairwise
from enstack.metrics.temperature import log_loss_parts, tempered
from enstack.reporting.evaluation import (
    AucDifference,
    Bin,
    Budget,
    Calibration,
    Detection,
    Evaluation,
    FlagEvaluation,
    Pairwise,
    PrecisionRecall,
    Promise,
    Reliability,
    RiskCoverage,
)
from enstack.reporting.leaderboard import LeaderboardRow
from enstack.reporting.stored_run import StoredRun
from enstack.stacking.baselines import WORDS
from enstack.statistics.paired_tests import delong
from enstack.storage.json_text import json_values

__all__ = ["evaluate_row", "measure_detection"]


def evaluate_row(stored: StoredRun, row: LeaderboardRow) -> Evaluation:
    """Every figure of a row."""
    task, labels, probabilities = stored.task, stored.labels, stored.probabilities[row.key]
    thresholds, decisions = stored.thresholds.get(row.key), stored.decisions(row)
    confidence = task.confidence(probabilities, thresholds)
    of_task = FlagEvaluation if task.has_thresholds else Evaluation
    return of_task(
        key=row.key,
        kind=row.kind,
        title=row.title,
        **json_values(task.evaluate(labels, probabilities, thresholds)),
        confusion_classes=list(task.confusion_names),
        reliability=_reliability(stored, probabilities),
        calibration=_calibration(stored, row.key),
        risk_coverage=RiskCoverage(
            **risk_coverage(confidence, task.right_one_by_one(labels, decisions))
        ),
        curves=_curves(stored, probabilities),
        detection=measure_detection(stored, row),
        promises=_promises(stored, row.key),
    )


def measure_detection(
    stored: StoredRun, row: LeaderboardRow, weights: NDArray[np.float64] | None = None
) -> Detection | None:
    """The question whether a function is vulnerable; None where the label mode does not ask it.

    weights: (n,) of the test functions, as of another prior.
    """
    task = stored.task
    vulnerable, said = task.vulnerable(stored.labels), task.vulnerable(stored.decisions(row))
    scores = task.vulnerability(stored.probabilities[row.key])
    if vulnerable is None or said is None or scores is None:
        return None
    figures = detection(vulnerable, said, scores, weights)
    parts = {
        "budgets": [Budget(**budget) for budget in figures["budgets"]],
        "curve": PrecisionRecall(**figures["curve"]),
        "auc_less_word_counts": _auc_less_word_counts(stored, row, vulnerable)
        if weights is None
        else None,
        "pairs": _pairs(stored, said) if weights is None else None,
    }
    return Detection(**{**figures, **parts})


def _pairs(stored: StoredRun, said: NDArray[np.bool_]) -> Pairwise | None:
    if stored.pairs is None:
        return None
    listed, listed_in = stored.pairs.listed, stored.pairs.listed_in
    return Pairwise(**pairwise(said, stored.pairs.rows), listed=listed, listed_in=listed_in)


def _auc_less_word_counts(
    stored: StoredRun, row: LeaderboardRow, vulnerable: NDArray[np.bool_]
) -> AucDifference | None:
    if row.key == WORDS or WORDS not in stored.probabilities or not two_sided(vulnerable):
        return None
    first, second = (
        np.asarray(stored.task.vulnerability(stored.probabilities[key])) for key in (row.key, WORDS)
    )
    return AucDifference(*delong(vulnerable, first, second, stored.contamination.clusters))


def _reliability(stored: StoredRun, probabilities: NDArray[Any]) -> Reliability:
    found = stored.task.reliability(stored.labels, probabilities)
    return Reliability(found["ece"], [Bin(**part) for part in found["bins"]])


def _calibration(stored: StoredRun, key: str) -> Calibration:
    task, probabilities = stored.task, stored.probabilities[key]
    parts = log_loss_parts(stored.labels, probabilities, task)
    chosen = stored.calibration.get(key)
    if chosen is None:
        return Calibration(**parts)
    at = tempered(probabilities, chosen["temperature"], task)
    return Calibration(
        **parts,
        temperature=chosen["temperature"],
        n_validation=chosen["n"],
        tempered_log_loss=task.log_loss(stored.labels, at),
        tempered=_reliability(stored, at),
    )


def _curves(stored: StoredRun, probabilities: NDArray[Any]) -> dict[str, PrecisionRecall]:
    columns = zip(
        stored.task.class_names,
        stored.task.has_class(stored.labels).T,
        probabilities.T,
        strict=True,
    )
    return {
        name: PrecisionRecall(**precision_recall_points(has, given)) for name, has, given in columns
    }


def _promises(stored: StoredRun, key: str) -> list[Promise]:
    """What was promised of the row, and what came of it."""
    promises = stored.calibration.get(key, {}).get("promises", {})
    scores = stored.task.answer_scores(stored.labels, stored.probabilities[key])
    return [
        _promise(answers, promise, of_rows, right)
        for answers, (of_rows, right) in scores.items()
        for promise in promises.get(answers, [])
    ]


def _promise(
    answers: str, promise: dict[str, Any], scores: NDArray[Any], right: NDArray[np.bool_]
) -> Promise:
    threshold = promise["threshold"]
    answered = scores >= (np.inf if threshold is None else threshold)
    return Promise(
        answers,
        **promise,
        answered_on_test=int(answered.sum()),
        right_on_test=int(right[answered].sum()),
    )
