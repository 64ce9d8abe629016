"""Test sets drawn from populations whose truth is known: what is said of them holds as often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from enstack.statistics.bootstrap import difference, intervals
from enstack.statistics.cells import measured, paired
from tests.support.populations import POPULATIONS, Population

N_SETS = 250  # a share of .95 of them has a standard error of .014
BY_NAME = {population.name: population for population in POPULATIONS}


def false_alarms(population: Population, clustered: bool = True) -> float:
    """How often equal models are told apart."""
    random, told = np.random.RandomState(5), []
    for seed in range(N_SETS):
        *rows, clusters = population.draw_test_set(random)
        cells = paired(population.task, *rows, clusters if clustered else None)
        told.append(difference(cells, "macro_f1", seed=seed, n_resamples=200).p < 0.05)
    return float(np.mean(told))


@pytest.mark.parametrize("name", ["classes of 9 and 3", "60 functions", "flags", "clusters of 4"])
def test_equal_models_are_told_apart_once_in_twenty_test_sets(name: str):
    assert 0.01 < false_alarms(BY_NAME[name]) < 0.095


def test_rows_that_depend_on_each_other_and_are_taken_for_separate_ones_tell_equal_models_apart():
    assert false_alarms(BY_NAME["clusters of 4"], clustered=False) > 0.3


def share_inside(population: Population, n_sets: int) -> float:
    """How often the interval of macro-F1 holds what many rows say."""
    task, random, inside = population.task, np.random.RandomState(6), []
    whole = paired(task, *population.draw(200_000, np.random.RandomState(0))).sums[0]
    for seed in range(n_sets):
        labels, said, _, clusters = population.draw_test_set(random)
        found = intervals(labels, {"m": said}, task, clusters=clusters, seed=seed, n_resamples=500)
        low, high = found["m"]["macro_f1"]
        occurs = task.counts(labels) > 0
        inside.append(low <= measured(task, whole, "macro_f1", occurs) <= high)
    return float(np.mean(inside))


def test_intervals_of_a_figure_hold_the_truth_where_classes_have_a_few_rows():
    # Classes of 9 and of 3 rows, often all hit. Percentiles of resampled rows hold it in .907.
    population = replace(BY_NAME["classes of 9 and 3"], right=(0.95, 0.85, 0.8, 0.9, 0.9))
    assert 0.92 < share_inside(population, 600) < 0.98


@pytest.mark.parametrize("models", ["six classes", "weak models"])
def test_intervals_of_a_figure_hold_the_truth_where_few_clusters_have_most_rows(models: str):
    # With all of the prior's pull towards one half, those of weak models held it in half the sets.
    assert share_inside(BY_NAME[f"clusters of 1 to 40, {models}"], N_SETS) > 0.92
