"""What a model costs: with all that it asks, and only where all of it is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.stacking.costs import Clock, Cost, cost_of

SECONDS = st.floats(0, 1e6)
BASE = st.dictionaries(
    st.sampled_from(["a", "b", "a-b", "c+d", "codebert"]),
    st.fixed_dictionaries(
        {"training_seconds": SECONDS, "fold_seconds": SECONDS, "seconds_per_1000": SECONDS}
    ),
    min_size=1,
)


@given(BASE, SECONDS, SECONDS, st.data())
def test_what_asks_several_models_costs_all_of_them(
    base: dict[str, dict[str, float]], learning: float, predicting: float, data: st.DataObject
) -> None:
    members = data.draw(st.lists(st.sampled_from(sorted(base)), min_size=1, unique=True))
    among, clock = "+".join(members), Clock(learning, predicting)
    trained = sum(base[name]["training_seconds"] for name in members) / 60
    folds = sum(base[name]["fold_seconds"] for name in members) / 60
    each = sum(base[name]["seconds_per_1000"] for name in members)
    vote = cost_of(f"vote:mean@{among}", base, Clock(), 500)
    assert vote == Cost(pytest.approx(trained), pytest.approx(each))
    stack = cost_of(f"stack:lr~log@{among}", base, clock, 500)
    minutes = trained + folds + learning / 60
    assert stack == Cost(pytest.approx(minutes), pytest.approx(each + 2 * predicting))


@pytest.mark.parametrize("key", ["stack:lr", "stack:lr~log", "vote:greedy", "vote:mean"])
def test_what_names_no_models_asks_all_of_them_and_needs_folds_where_it_is_fitted(key: str) -> None:
    one = {"training_seconds": 60.0, "fold_seconds": 240.0, "seconds_per_1000": 1.0}
    found = cost_of(key, {"a": one, "b": one, "c": one}, Clock(), 10)
    assert found == Cost(3.0 if key == "vote:mean" else 15.0, 3.0)


def test_a_base_model_needs_no_folds_and_a_baseline_no_base_model() -> None:
    base = {"a": {"training_seconds": 60.0, "fold_seconds": 240.0, "seconds_per_1000": 1.0}}
    assert cost_of("base:a", base, Clock(), 10) == Cost(1.0, 1.0)
    assert cost_of("baseline:length", base, Clock(30, 5), 1000) == Cost(0.5, 5.0)


@pytest.mark.parametrize("lacking", [{}, {"training_seconds": None, "seconds_per_1000": 1.0}])
def test_what_one_did_not_record_is_unknown_of_all_that_ask_it(
    lacking: dict[str, float | None],
) -> None:
    whole = {"training_seconds": 60.0, "fold_seconds": 0.0, "seconds_per_1000": 1.0}
    base = {"old": lacking, "new": whole}
    assert cost_of("stack:lr", base, Clock(1, 1), 10).training_minutes is None
    assert cost_of("base:old", base, Clock(), 10).training_minutes is None
    assert cost_of("stack:lr@new", base, Clock(), 10).training_minutes == 1
    assert (cost_of("vote:mean", base, Clock(), 10).seconds_per_1000 is None) == (not lacking)
