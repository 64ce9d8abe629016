"""How far a model's confidence can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np


def calibration(confidence: np.ndarray, right: np.ndarray, *, n_bins: int = 10) -> dict[str, Any]:
    """Each bin's mean confidence and accuracy, and the expected calibration error, as JSON values.

    confidence: (n,) from 0 to 1; right: (n,) bool, whether what it was about came true. The bins
    cut 0 to 1 into equal parts, and empty ones are left out. `ece` is the mean of
    |accuracy - confidence| over the rows (Guo et al. 2017, section 2).
    """
    # float64: the mean of a million float32 would lose the digits that the error is made of.
    confidence = confidence.astype(np.float64)
    # A bin holds its upper edge, as in the paper, so 1 falls into the last one; 0 into the first.
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
