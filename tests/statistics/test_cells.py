"""Cells: rows that are alike counted once, clusters drawn whole, and nothing else changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.errors import DataError
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.statistics import cells

CLASSES, FLAGS = OneClass(("a", "b", "c")), SeveralFlags(("a", "b", "c"))
MEASURES = pytest.mark.parametrize("measure", cells.MEASURES)


@st.composite
def answers(draw: Any) -> tuple[LabelTask, np.ndarray, np.ndarray, np.ndarray]:
    """A task, labels, and two models' decisions about 1 to 60 rows."""
    n, random = draw(st.integers(1, 60)), np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        return FLAGS, *(random.random_sample((3, n, 3)) < 0.3)
    return CLASSES, *random.randint(3, size=(3, n))


def figures(task: LabelTask, labels: np.ndarray, decisions: np.ndarray) -> dict[str, float]:
    accuracy, macro_f1 = task.accuracy_and_macro_f1(labels, decisions)
    return {"accuracy": accuracy, "macro_f1": macro_f1, "mcc": task.mcc(labels, decisions)}


@given(answers(), st.integers(1, 60))
def test_cells_and_clusters_of_them_have_the_figures_of_the_rows(rows: Any, n_clusters: int):
    task, labels, first, second = rows
    clusters = np.random.RandomState(n_clusters).randint(n_clusters, size=len(labels))
    for found in (
        cells.paired(task, labels, first, second),
        cells.paired(task, labels, first, second, clusters),
    ):
        for sums, decisions in zip(found.sums, (first, second), strict=True):
            for measure, expected in figures(task, labels, decisions).items():
                value = float(cells.measured(task, sums, measure))
                assert value == pytest.approx(expected, abs=1e-12)
        both = task.right(labels, first), task.right(labels, second)
        assert found.only_first_right == (both[0] & ~both[1]).sum()
        assert found.only_second_right == (~both[0] & both[1]).sum()
    assert found.times.sum() == len(np.unique(clusters))


@given(answers(), st.integers(1, 20), st.booleans())
def test_the_order_of_rows_and_the_names_of_clusters_change_nothing(
    rows: Any, n_clusters: int, clustered: bool
):
    task, labels, first, second = rows
    random = np.random.RandomState(n_clusters)
    order, names = random.permutation(len(labels)), random.permutation(n_clusters)
    clusters = random.randint(n_clusters, size=len(labels)) if clustered else None
    found = cells.paired(task, labels, first, second, clusters)
    moved = cells.paired(
        task,
        labels[order],
        first[order],
        second[order],
        None if clusters is None else names[clusters[order]],
    )
    np.testing.assert_array_equal(found.times, moved.times)
    np.testing.assert_array_equal(found.counts, moved.counts)


def test_clusters_that_hold_the_same_cells_are_one_kind():
    labels, said = np.array([0, 1, 1, 0, 2, 2]), np.array([0, 2, 2, 0, 2, 2])
    found = cells.paired(CLASSES, labels, said, said, clusters=np.array([7, 7, 3, 3, 5, 1]))
    # Two of (0 as 0, 1 as 2), two single rows of 2 as 2.
    assert sorted(found.times.tolist()) == [2, 2]
    assert sorted(found.counts[0, :, 0].tolist()) == [1, 2]


@MEASURES
def test_resamples_of_cells_spread_as_those_of_rows_drawn_one_by_one(measure: str):
    random = np.random.RandomState(0)
    labels = random.randint(3, size=200)
    first, second = (np.where(random.random_sample(200) < 0.7, labels, 0) for _ in range(2))
    clusters = random.randint(60, size=200)
    found = cells.paired(CLASSES, labels, first, second, clusters)
    by_cells = np.concatenate(
        [
            cells.measured(CLASSES, counts, measure)
            for counts in found.resampled(seed=1, n_resamples=4000)
        ],
        axis=1,
    )
    members = [np.flatnonzero(clusters == cluster) for cluster in np.unique(clusters)]
    of_rows = np.stack([CLASSES.counts_of_rows(labels, made) for made in (first, second)])
    sums = []
    for drawn in random.randint(len(members), size=(2000, len(members))):
        rows = np.concatenate([members[cluster] for cluster in drawn])
        sums.append(of_rows[:, rows].sum(axis=1))
    reference = cells.measured(CLASSES, np.stack(sums, axis=1), measure)
    # Of the difference too: both models must have been given the same rows.
    for one, other in (
        (by_cells, reference),
        (by_cells[:1] - by_cells[1:], reference[:1] - reference[1:]),
    ):
        assert one.std(axis=1) == pytest.approx(other.std(axis=1), rel=0.1)
        assert one.mean(axis=1) == pytest.approx(other.mean(axis=1), abs=0.006)


def test_resamples_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch):
    random = np.random.RandomState(0)
    found = cells.single(CLASSES, *random.randint(3, size=(2, 300)))
    whole = np.concatenate(list(found.resampled(seed=1, n_resamples=50)), axis=1)
    monkeypatch.setattr("enstack.statistics.cells.DRAWN_AT_ONCE", 70)
    parts = list(found.resampled(seed=1, n_resamples=50))
    assert len(parts) > 5
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))


def test_resamples_repeat_for_a_seed_and_leave_the_global_generator_alone():
    random = np.random.RandomState(0)
    found = cells.single(CLASSES, *random.randint(3, size=(2, 100)))
    before = np.random.get_state()[1].copy()
    first, again, other = (next(found.resampled(seed=seed, n_resamples=20)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first[0, :, 0] == 100).all()


def test_many_models_make_cells_without_running_over_the_integers():
    random = np.random.RandomState(0)
    many = [random.randint(6, size=500) for _ in range(80)]
    first, cell = cells.group_alike(OneClass(tuple("abcdef")), *many)
    assert len(first) == 500  # 80 random answers are never all alike
    assert sorted(cell.tolist()) == list(range(500))


def test_130_000_rows_of_six_classes_are_a_few_hundred_cells():
    random = np.random.RandomState(0)
    labels, first, second = random.randint(6, size=(3, 130_000))
    assert len(cells.paired(OneClass(tuple("abcdef")), labels, first, second).times) == 216


def test_rows_that_do_not_fit_are_refused():
    labels = np.array([0, 1, 1])
    with pytest.raises(DataError, match=r"Labels and decisions .* found 3 labels and 2 decisions"):
        cells.single(CLASSES, labels, labels[:2])
    with pytest.raises(DataError, match=r"Labels and clusters .* found 3 labels and 2 clusters"):
        cells.single(CLASSES, labels, labels, clusters=labels[:2])
    with pytest.raises(DataError, match="at least one, found 0 labels"):
        cells.single(CLASSES, labels[:0], labels[:0])
    with pytest.raises(DataError, match="Predictions must be classes from 0 to 2, found 0 to 3"):
        cells.single(CLASSES, labels, np.array([0, 1, 3]))


def test_a_measure_that_is_none_is_refused():
    with pytest.raises(ValueError, match="one of macro_f1, accuracy, mcc, found f2"):
        cells.measured(CLASSES, np.zeros(11), "f2")
