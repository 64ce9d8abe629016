"""Agreement of models: counted row by row, against scikit-learn's confusion of right and wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score

from enstack.metrics.agreement import agreement, right_by_none
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags


@pytest.mark.parametrize("task", [OneClass(("a", "b", "c")), SeveralFlags(("a", "b", "c"))])
@settings(deadline=None, max_examples=50)
@given(n=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_every_pair_is_counted_as_scikit_learn_counts_it(task: LabelTask, n: int, seed: int):
    random = np.random.RandomState(seed)
    shape = (n, 3) if task.has_thresholds else n
    labels, *said = (
        random.randint(0, 2 if task.has_thresholds else 3, shape).astype(
            bool if task.has_thresholds else int
        )
        for _ in range(4)
    )
    models = dict(zip("xyz", said, strict=True))
    pairs = agreement(labels, models, task)
    assert [(pair["first"], pair["second"]) for pair in pairs] == [
        ("x", "y"),
        ("x", "z"),
        ("y", "z"),
    ]
    rows = {key: [tuple(np.atleast_1d(row)) for row in values] for key, values in models.items()}
    truth = [tuple(np.atleast_1d(row)) for row in labels]
    for pair in pairs:
        first, second = rows[pair["first"]], rows[pair["second"]]
        right = [[a == t for a, t in zip(of, truth, strict=True)] for of in (first, second)]
        counts = confusion_matrix(*right, labels=[True, False])
        assert [
            [pair["both_right"], pair["only_first"]],
            [pair["only_second"], pair["both_wrong"]],
        ] == counts.tolist()
        same = [a == b for a, b in zip(first, second, strict=True)]
        assert pair["same"] == pytest.approx(np.mean(same))
        assert pair["double_fault"] == pytest.approx(counts[1, 1] / n)
        wrong = [[not value for value in values] for values in right]
        if not any(map(any, wrong)):
            assert pair["error_overlap"] is None
        else:
            assert pair["error_overlap"] == pytest.approx(jaccard_score(*wrong, zero_division=0))
        if not counts[1, 1]:
            assert pair["same_error"] is None
        else:
            both = [a and b for a, b in zip(*wrong, strict=True)]
            assert pair["same_error"] == pytest.approx(
                accuracy_score(
                    [True] * sum(both), [s for s, b in zip(same, both, strict=True) if b]
                )
            )
    nobody = [all(of[row] != truth[row] for of in rows.values()) for row in range(n)]
    assert right_by_none(labels, models, task) == sum(nobody)
