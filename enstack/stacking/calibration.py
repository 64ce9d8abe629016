"""What of a model's probabilities is chosen on validation: its temperature, what it may promise."""

from __future__ import annotations

from typing import Any

import numpy as np

from enstack.metrics.abstention import guarantees
from enstack.metrics.label_task import LabelTask
from enstack.metrics.temperature import fit_temperature, log_loss_parts

__all__ = ["calibrate"]


def calibrate(labels: np.ndarray, probabilities: np.ndarray, task: LabelTask) -> dict[str, Any]:
    """What calibration.json holds of a model, by rows that it was not fitted on.

    labels: (n,), or (n, k) bool flags; probabilities: (n, k). promises: by what is answered, see
    LabelTask.answer_scores and metrics.abstention.guarantees.
    """
    return {
        "n": len(labels),
        "temperature": fit_temperature(labels, probabilities, task),
        **log_loss_parts(labels, probabilities, task),
        "promises": {
            answers: guarantees(scores, right)
            for answers, (scores, right) in task.answer_scores(labels, probabilities).items()
        },
    }
