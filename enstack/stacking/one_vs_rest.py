"""Probabilities of one class against the rest, also where every class is as good as ruled out."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log_expit, softmax

__all__ = ["class_probabilities"]


def class_probabilities(estimator: Any, features: Any) -> np.ndarray:
    """What an estimator says of each class: (n, k), every row with a sum of 1.

    Of a row to which each class's own classifier gives 0, scikit-learn makes NaN before 1.7 and
    zeros since. Where that is for want of digits, log-odds still tell which class is the likeliest;
    of what has none, such as trees, every class is as likely.
    """
    with np.errstate(invalid="ignore"):
        found = np.asarray(estimator.predict_proba(features))
    lost = ~(found.sum(axis=1) > 0)  # NaN is not above 0 either
    if not hasattr(estimator, "decision_function"):
        found[lost] = 1 / found.shape[1]
    elif lost.any():
        found[lost] = softmax(log_expit(estimator.decision_function(features[lost])), axis=1)
    return found
