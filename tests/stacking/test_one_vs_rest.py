from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.tree import DecisionTreeClassifier

from enstack.stacking.one_vs_rest import class_probabilities


def fitted() -> OneVsRestClassifier:
    random = np.random.RandomState(0)
    labels = np.repeat([0, 1, 2], 30)
    features = np.eye(3)[labels] + 0.3 * random.normal(size=(90, 3))
    estimator = OneVsRestClassifier(LogisticRegression(solver="liblinear"))
    return estimator.fit(features, labels)


@given(st.lists(st.floats(-1e5, 1e5), min_size=3, max_size=3))
def test_every_row_is_a_distribution_with_the_likeliest_class_on_top(row: list[float]):
    estimator, rows = fitted(), np.array([row, [0.2, 0.3, 0.1]])
    found = class_probabilities(estimator, rows)
    assert np.isfinite(found).all()
    assert found.sum(axis=1) == pytest.approx(1)
    odds = estimator.decision_function(rows)
    assert (found[np.arange(2), odds.argmax(axis=1)] == found.max(axis=1)).all()


def test_a_row_that_every_class_rules_out_keeps_their_order():
    estimator = fitted()
    for one in estimator.estimators_:
        one.intercept_ -= 2000
    rows = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert not expit(estimator.decision_function(rows)).any()
    assert class_probabilities(estimator, rows).argmax(axis=1).tolist() == [1, 0]


def test_rows_with_digits_left_are_scikit_learns_to_the_bit():
    estimator, rows = fitted(), np.random.RandomState(1).normal(size=(50, 3))
    assert np.array_equal(class_probabilities(estimator, rows), estimator.predict_proba(rows))


def test_a_row_that_every_tree_rules_out_is_as_likely_of_each_class():
    # Each column tells one class alone; the last row looks like none.
    labels = np.repeat([0, 1, 2], 10)
    trees = OneVsRestClassifier(DecisionTreeClassifier()).fit(np.eye(3)[labels], labels)
    found = class_probabilities(trees, np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    assert found.tolist() == [[1 / 3] * 3, [0, 1, 0]]
