"""Scores that need no model, and whether a model needs the lines that scores put first."""

from __future__ import annotations

import numpy as np
import pytest

from enstack.lines.faithfulness import deletion_and_insertion
from enstack.lines.plain import by_chance, by_length, calls

FUNCTION = "copy(char *s)\n{\n    if (s == 0) return;\n\n    put(get(s), sizeof(int));\n}"
TEN = "\n".join(["f()", "{", *(f"    call_{n}();" for n in range(4)), "gets(s);", "x;", "y;", "}"])


def test_plain_scores_by_hand() -> None:
    assert by_length(FUNCTION).tolist() == [13, 1, 19, 0, 25, 1]
    # Its own name is no call, and what the language calls so is none.
    assert calls(FUNCTION).tolist() == [0, 0, 0, 0, 2, 0]
    assert calls("f(int a) { return g(a) + (h)(a); }").tolist() == [1]
    assert by_chance(FUNCTION).tolist() == [0] * 6


def says_gets(texts: list[str]) -> np.ndarray:
    """Sure of the second class where a text has the call, of the first one elsewhere."""
    has = np.array(["gets(" in text for text in texts], dtype=float)
    return np.stack([1 - has, has], axis=1)


@pytest.mark.parametrize(
    ("scores", "deletion", "insertion"),
    [
        (np.arange(10) == 6, 0.1, 1.0),  # its line first: gone at once, and there at once
        (np.arange(10) != 6, 1.0, 0.1),  # its line last
        (np.arange(10)[::-1], 0.7, 0.4),  # as the lines stand: the seventh of ten
    ],
)
def test_lines_that_a_model_needs_make_it_forget_at_once_and_know_at_once(
    scores: np.ndarray, deletion: float, insertion: float
) -> None:
    found = deletion_and_insertion(says_gets, [TEN], [1], [scores.astype(float)])
    assert found == pytest.approx((deletion, insertion))
    of_other = deletion_and_insertion(says_gets, [TEN, TEN], [0, 0], [scores.astype(float)] * 2)
    assert of_other == pytest.approx((1 - deletion, 1 - insertion))


def test_equal_scores_go_by_the_same_lot_and_every_text_holds_something() -> None:
    asked = list[str]()

    def remembered(texts: list[str]) -> np.ndarray:
        asked.extend(texts)
        return says_gets(texts)

    functions = [TEN, "one(void) { gets(s); }", FUNCTION]
    alike = [by_chance(function) for function in functions]
    first = deletion_and_insertion(remembered, functions, [1, 1, 1], alike)
    assert deletion_and_insertion(says_gets, functions, [1, 1, 1], alike) == first
    assert all(text.strip() for text in asked)
    # Each step takes lines away, in the order of the function.
    for text in asked:
        lines = text.split("\n")
        assert any(
            [line for line in function.split("\n") if line in lines] == lines
            for function in functions
        )
