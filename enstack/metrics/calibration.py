"""How far a model's confidence can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, *, n_bins: int = 10
) -> dict[str, Any]:
    """How far a model's confidence can be believed: each bin's mean confidence and accuracy.

    labels: (n,) int; probabilities: (n, k). Confidence is the highest probability of a row; the
    bins cut 0 to 1 into equal parts, and empty ones are left out. `ece` is the expected calibration
    error: the mean of |accuracy - confidence| over the rows (Guo et al. 2017, section 2). Of flags
    (n, k) bool, each probability is a confidence of its own, and right where the flag is there.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels.ndim == 2:
        confidence, right = probabilities.ravel().astype(np.float64), labels.ravel()
    else:
        confidence = probabilities.max(axis=1).astype(np.float64)
        right = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    bins = [
        {
            "n": int((place == number).sum()),
            "confidence": float(confidence[place == number].mean()),
            "accuracy": float(right[place == number].mean()),
        }
        for number in np.unique(place)
    ]
    apart = sum(part["n"] * abs(part["accuracy"] - part["confidence"]) for part in bins)
    return {"ece": float(apart / len(right)), "bins": bins}
