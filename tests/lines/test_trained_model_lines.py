"""A loaded run tells which lines of a function speak for a class, in every window of a long one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from enstack.bundle import TrainedModel
from enstack.bundle.loading import load
from enstack.errors import ConfigError, DataError
from enstack.lines.methods import line_scores
from enstack.stacking.votes import Vote

SHORT = ["f(char *s)\n{\n    gets(s);\n}", "g(void) { return 0; }"]
LONG = "h(int a)\n{\n" + "".join(f"    a = a * {n} + call_{n}(a);\n" for n in range(30)) + "}\n"


@pytest.fixture(scope="module")
def vote(ensemble: Any) -> TrainedModel:
    return load(ensemble[0].path, "vote")


def test_the_class_is_the_likeliest_but_the_clean_one_unless_it_is_named(
    vote: TrainedModel,
) -> None:
    places = [place for place, name in enumerate(vote.class_names) if name != "clean"]
    likely = [places[row.argmax()] for row in vote.predict_proba(SHORT)[:, places]]
    found = vote.line_scores(SHORT)
    expected = line_scores(vote.base_models, [0.5, 0.5], SHORT, likely)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for place, name in enumerate(vote.class_names):
        named = vote.line_scores(SHORT, name)
        of_class = line_scores(vote.base_models, [0.5, 0.5], SHORT, [place, place])
        for one, other in zip(named, of_class, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_of_a_long_function_the_window_that_is_likeliest_to_have_the_class_counts(
    vote: TrainedModel,
) -> None:
    (scores,) = vote.line_scores([LONG], "CWE-119")
    assert len(scores) == 1 + LONG.count("\n")
    first, last = np.flatnonzero(scores)[[0, -1]]
    assert 0 < np.abs(scores).sum() <= 1 + 1e-9
    assert last - first < 10  # a window of 32 tokens, not all of it
    lines = LONG.split("\n")
    part = "\n".join(lines[first : last + 1])
    place = vote.class_names.index("CWE-119")
    # No other stretch of so many lines is likelier to have the class.
    stretches = ["\n".join(lines[n : n + last - first + 1]) for n in range(len(lines) - 1)]
    best = vote.predict_proba([s for s in stretches if s.strip()])[:, place].max()
    assert vote.predict_proba([part])[0, place] == pytest.approx(best, rel=0.05)


def test_base_models_count_as_in_the_ensemble(ensemble: Any, flags_ensemble: Any) -> None:
    assert Vote({"a": 3, "b": 1}).weights == (0.75, 0.25)
    for run in (ensemble[0], flags_ensemble[0]):
        for name in ("vote", "lr"):
            model = load(run.path, name)
            assert model.combination.weights == (0.5, 0.5)
            assert all(np.isfinite(one).all() for one in model.line_scores(SHORT))


def test_counted_words_are_explained_by_what_they_say_without_a_line(ensemble: Any) -> None:
    words = load(ensemble[0].path, "tfidf_lr")
    functions = [*SHORT, ensemble[1][0]]
    place = words.class_names.index("CWE-120")
    for function, scores in zip(
        functions, words.line_scores(functions, "CWE-120", method="gradient x input"), strict=True
    ):
        lines = function.split("\n")
        texts = [function, *("\n".join([*lines[:i], *lines[i + 1 :]]) for i in range(len(lines)))]
        odds = np.log(1 / (1 / words.combination.of_texts(texts)[:, place].astype(float) - 1))
        falls = odds[0] - odds[1:]
        np.testing.assert_allclose(scores, falls / np.abs(falls).sum(), atol=1e-9)


def test_what_is_no_class_and_no_text_is_refused(vote: TrainedModel) -> None:
    with pytest.raises(ConfigError, match=r"The class must be one of CWE-119, .* found 'CWE-1'"):
        vote.line_scores(SHORT, "CWE-1")
    with pytest.raises(DataError, match=r"write \[text\] for one"):
        vote.line_scores("f() {}")
    assert vote.line_scores([]) == []
