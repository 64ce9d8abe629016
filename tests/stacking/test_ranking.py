from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from enstack.metrics.one_class import OneClass
from enstack.stacking.ranking import leaderboard


def test_rows_are_ordered_by_macro_f1_and_lie_within_their_intervals() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    exact = np.eye(3, dtype=np.float32)[labels]
    probabilities = {
        f"base:m{noise}": exact + noise * rng.random((300, 3), dtype=np.float32)
        for noise in (3, 1, 2)
    }
    probabilities = {k: p / p.sum(axis=1, keepdims=True) for k, p in probabilities.items()}
    thresholds = dict.fromkeys(probabilities)
    board = leaderboard(labels, probabilities, OneClass(("a", "b", "c")), thresholds, seed=1)
    assert board["name"].tolist() == ["m1", "m2", "m3"]
    for _, row in board.iterrows():
        expected = f1_score(
            labels, probabilities[f"base:{row['name']}"].argmax(axis=1), average="macro"
        )
        assert row["macro_f1"] == pytest.approx(expected)
        assert row["macro_f1_low"] <= row["macro_f1"] <= row["macro_f1_high"]
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
