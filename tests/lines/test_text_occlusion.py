"""Lines of any model of texts: what falls without them, at a bounded cost."""

from __future__ import annotations

import numpy as np
import pytest

from enstack.lines import occlusion as module
from enstack.lines.occlusion import text_occlusion


def bad_in(texts: list[str]) -> np.ndarray:
    """A model that knows one word."""
    said = np.array([0.9 if "bad" in text else 0.1 for text in texts])
    return np.stack([1 - said, said], axis=1)


def test_a_line_has_what_the_log_odds_fall_by_without_it() -> None:
    (falls,) = text_occlusion(bad_in, ["int f()\n{\nbad();\n}"], [1])
    assert falls == pytest.approx([0, 0, 2 * np.log(9), 0])


def test_of_very_many_lines_neighbours_share_a_fall_and_no_call_takes_all_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 100_000)
    monkeypatch.setattr(module, "READ", 5_000_000)
    calls = list[int]()

    def noted(texts: list[str]) -> np.ndarray:
        calls.append(len(texts))
        assert sum(map(len, texts)) < 200_000
        return bad_in(texts)

    lines = [f"x = {number};" for number in range(5000)]
    lines[3210] = "bad();"
    (falls,) = text_occlusion(noted, ["\n".join(lines)], [1])
    assert 50 < sum(calls) < 150
    assert len(falls) == 5000
    assert falls.sum() == pytest.approx(2 * np.log(9))
    (told,) = np.nonzero(falls)
    assert 3210 in told
    assert len(told) <= 100


def test_however_long_a_function_is_some_parts_of_it_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "READ", 1)
    (falls,) = text_occlusion(bad_in, ["\n".join(["x;"] * 159 + ["bad();"])], [1])
    assert np.flatnonzero(falls).tolist() == list(range(150, 160))
