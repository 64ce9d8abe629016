"""How far models say the same, and are wrong together: what a stack of them can gain at all."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from enstack.metrics.label_task import LabelTask

__all__ = ["agreement", "right_by_none"]


def agreement(
    labels: np.ndarray, decisions: Mapping[str, np.ndarray], task: LabelTask
) -> list[dict[str, Any]]:
    """Every pair of models on the same rows, as JSON values.

    same: the share of rows with equal answers; both_right, only_first, only_second, both_wrong:
    rows; double_fault: the share where both are wrong; error_overlap: of the rows where any of the
    two is wrong, the share where both are, None without such a row; same_error: of those where both
    are, the share with the same wrong answer.
    """
    right = {key: task.right(labels, said) for key, said in decisions.items()}
    return [
        {"first": first, "second": second}
        | _pair(right[first], right[second], task.right(decisions[first], decisions[second]))
        for first, second in itertools.combinations(decisions, 2)
    ]


def right_by_none(labels: np.ndarray, decisions: Mapping[str, np.ndarray], task: LabelTask) -> int:
    """Rows that no model answers right: whatever chooses among their answers fails there."""
    wrong = [~task.right(labels, said) for said in decisions.values()]
    return int(np.logical_and.reduce(wrong).sum())


def _pair(first: np.ndarray, second: np.ndarray, same: np.ndarray) -> dict[str, Any]:
    both_wrong = ~first & ~second
    n_both, n_any = int(both_wrong.sum()), int((~first | ~second).sum())
    return {
        "same": float(same.mean()),
        "both_right": int((first & second).sum()),
        "only_first": int((first & ~second).sum()),
        "only_second": int((second & ~first).sum()),
        "both_wrong": n_both,
        "double_fault": n_both / len(first),
        "error_overlap": n_both / n_any if n_any else None,
        "same_error": int((same & both_wrong).sum()) / n_both if n_both else None,
    }
