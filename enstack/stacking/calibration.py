"""What of a model's probabilities is chosen on validation: its temperature, what it may promise."""

from __future__ import annotations

from typing import Any

import numpy as np

from enstack.metrics.abstention import guarantees
from enstack.metrics.label_task import LabelTask
from enstack.metrics.temperature import log_loss_parts, useful_temperature

__all__ = ["calibrate"]


def calibrate(
    labels: np.ndarray,
    probabilities: np.ndarray,
    task: LabelTask,
    clusters: np.ndarray | None = None,
) -> dict[str, Any]:
    """What calibration.json holds of a model, by rows that it was not fitted on.

    labels: (n,), or (n, k) bool flags; probabilities: (n, k). clusters: (n,), the same for rows
    that depend on each other. temperature: 1 where the best one would not help on rows that it was
    not fitted on. promises: by what is answered, see
    LabelTask.answer_scores and metrics.abstention.guarantees.
    """
    return {
        "n": len(labels),
        "temperature": useful_temperature(labels, probabilities, task),
        **log_loss_parts(labels, probabilities, task),
        "promises": {
            answers: guarantees(scores, right, clusters)
            for answers, (scores, right) in task.answer_scores(labels, probabilities).items()
        },
    }
