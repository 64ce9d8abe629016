"""Two texts side by side: every line once, equal ones beside each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enstack.auditing.content import Contradiction
from enstack.auditing.side_by_side import matched_rows, side_by_side

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "long \x1b[31m\t" * 20]), max_size=30).map(
    "\n".join
)


@given(TEXTS, TEXTS)
def test_every_line_stands_once_in_its_order_and_only_equal_ones_are_unmarked(
    left: str, right: str
) -> None:
    rows = matched_rows(left, right)
    for place, text in ((0, left), (1, right)):
        assert [row[place] for row in rows if row[place]] == [t for t in text.splitlines() if t]
    assert all((one == other) == (not differs) for one, other, differs in rows)


@given(TEXTS, TEXTS)
def test_a_console_of_80_columns_shows_it_without_a_control_character(
    left: str, right: str
) -> None:
    text = side_by_side(Contradiction(["a/1", "b/2"], ["x", "y"], [left, right], 1.0))
    assert max(map(len, text.splitlines())) <= 80
    assert text.replace("\n", "").isprintable()


def test_of_two_long_lines_the_place_where_they_differ_is_shown() -> None:
    one, other = (
        f"f() {{ {'same; ' * 100}{tail} }}" for tail in ("gets(s);", "fgets(s, 9, stdin);")
    )
    text = side_by_side(Contradiction(["a/1", "b/2"], ["x", "y"], [one, other], 0.9))
    assert "gets(s);" in text
    assert "fgets(s, 9" in text


def test_more_lines_than_are_matched_are_told_of() -> None:
    assert matched_rows("a\n" * 401, "a\n" * 401)[-1] == ("...", "...", False)
