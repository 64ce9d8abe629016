"""The winner's figure: too high as measured, right when corrected."""

from __future__ import annotations

import numpy as np
import pytest

from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.statistics.winner import corrected

TASK = OneClass(("a", "b"))


def equal_models(n: int, right: float, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels, and 30 models that are right that often, by chance of their own."""
    random = np.random.RandomState(seed)
    labels = random.randint(2, size=n)
    wrong = random.random_sample((30, n)) >= right
    return labels, {f"m{i}": labels ^ wrong[i] for i in range(30)}


def test_the_best_of_equal_models_is_corrected_to_what_they_are():
    found = [
        corrected(TASK, *equal_models(300, 0.8, seed), "accuracy", seed=seed, n_resamples=100)
        for seed in range(60)
    ]
    as_measured = np.mean([one["as_measured"] for one in found]) - 0.8
    after = np.mean([one["corrected"] for one in found]) - 0.8
    assert as_measured > 0.03
    assert abs(after) < 0.006


def test_a_single_model_is_hardly_corrected_and_the_first_of_equal_ones_wins():
    labels, models = equal_models(1000, 0.8, 0)
    alone = corrected(TASK, labels, {"x": models["m0"]}, "accuracy", seed=1)
    assert alone["corrected"] == pytest.approx(alone["as_measured"], abs=0.003)
    twins = {"x": models["m0"], "y": models["m0"].copy()}
    assert corrected(TASK, labels, twins, "macro_f1", seed=1)["key"] == "x"


def test_rows_of_a_cluster_are_left_out_together():
    labels, models = equal_models(100, 0.8, 0)
    tenfold, clusters = np.repeat(labels, 10), np.repeat(np.arange(100), 10)
    repeated = {key: np.repeat(made, 10) for key, made in models.items()}
    blind = corrected(TASK, tenfold, repeated, "accuracy", seed=1)
    found = corrected(TASK, tenfold, repeated, "accuracy", clusters=clusters, seed=1)
    alone = corrected(TASK, labels, models, "accuracy", seed=1)
    # A row that is left out alone has its copies among those that chose.
    assert blind["corrected"] > found["corrected"] + 0.01
    assert found["corrected"] == pytest.approx(alone["corrected"], abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_hardly_any_rows_still_have_a_figure(n: int):
    flags = np.eye(3, dtype=bool)[:n]
    task = SeveralFlags(("a", "b", "c"))
    found = corrected(task, flags, {"x": flags, "y": ~flags}, "macro_f1", seed=1)
    assert (found["key"], found["as_measured"]) == ("x", 1)
    assert 0 <= found["corrected"] <= 1
