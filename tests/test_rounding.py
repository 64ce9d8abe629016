"""Rounding for people never turns a part into all or nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import enstack
from enstack.console import unbroken, wrapped_lines
from enstack.reporting.html import VERBATIM, share
from enstack.reporting.leaderboard import number
from enstack.rounding import decimal, percent

BY_ITSELF = re.compile(r":\.\d%\}|\d% (?:of|interval)")


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.9957, 2, ">0.99"),
        (1, 2, "1.00"),
        (0, 2, "0.00"),
        (0.004, 2, "<0.01"),
        (-0.004, 2, ">-0.01"),
    ],
)
def test_a_jaccard_beside_1_is_not_1(value: float, digits: int, text: str) -> None:
    assert decimal(value, digits) == text


def test_999_of_1000_and_3_of_6372_are_neither_all_nor_none() -> None:
    assert [share(9996, 10000), share(3, 6372), share(5, 5), share(0, 5)] == [
        ">99.9 %", "<0.1 %", "100.0 %", "0.0 %",
    ]  # fmt: skip
    assert percent(0.996, 0) == ">99 %"
    assert number(0.9996) == ">0.999"


@given(st.floats(0, 1), st.integers(0, 4))
def test_all_and_nothing_are_said_of_all_and_nothing_alone(value: float, digits: int) -> None:
    for text, whole in ((decimal(value, digits), 1), (percent(value, digits), 100)):
        said = text.removesuffix(" %")
        if not said.startswith(("<", ">")):
            assert (float(said) == 0) == (value == 0)
            assert (float(said) == whole) == (value == 1)
            assert abs(float(said) - value * whole) <= 0.51 * 10**-digits


def test_no_text_writes_a_percentage_by_itself() -> None:
    package = Path(enstack.__file__).parent
    texts = [path for kind in ("py", "j2", "yaml") for path in package.rglob(f"*.{kind}")]
    # Bars and what stands behind them are read at a glance, a word each, as tqdm has them.
    found = {path.name for path in texts if BY_ITSELF.search(path.read_text(encoding="utf-8"))}
    assert found == {"bars.py"}


def test_no_line_ends_before_a_percent_sign_and_code_stays_as_it_is() -> None:
    page = unbroken("all but 5 % of <b>1,000</b>")
    assert page == "all but 5\u00a0% of <b>1,000</b>"
    assert wrapped_lines("all but 95 % of them", 10, later="  ") == [
        "all but",
        "  95 % of",
        "  them",
    ]
    assert VERBATIM.split("a<pre id=x>5 % 3</pre>b")[1] == "<pre id=x>5 % 3</pre>"
