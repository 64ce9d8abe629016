"""Windows cover a function that is too long for a model, and each fits into the model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enstack.bundle.loading import load
from enstack.duplicates.lexer import LONGEST
from enstack.models.base_models import mode_tokens
from enstack.models.fine_tuned import FineTunedModel
from enstack.models.windows import windows_of

PIECES = ("    if (len > sizeof(buf)) {\n", "}\n", "x", " ", "\t\n", "strcpy(a, b); ", "ß", "ü🙂 ")


@pytest.fixture(scope="module")
def models(ensemble: Any) -> tuple[FineTunedModel, ...]:
    return load(ensemble[0].path, "vote").base_models


@settings(deadline=None, max_examples=60)
@given(pieces=st.lists(st.tuples(st.sampled_from(PIECES), st.integers(1, 40)), max_size=12))
def test_windows_cover_every_character_in_order_overlap_and_fit(
    models: tuple[FineTunedModel, ...], pieces: list[tuple[str, int]]
) -> None:
    text = "f(void) {" + "".join(piece * times for piece, times in pieces) + "}"
    whole, *windows = windows_of(text, models, LONGEST)
    assert whole == (text, 1, 1 + text.count("\n"))
    fits = {model.name: _n_tokens(text, model) <= model.max_length for model in models}
    assert bool(windows) <= (not all(fits.values()))
    # What the models read of the whole is covered already.
    covered = min(_read_until(text, model) for model in models)
    for window, first, last in windows:
        # The same text may stand at several places: it is the one with these lines.
        begins = [at for at in range(len(text)) if text.startswith(window, at)]
        there = [at for at in begins if _lines(text, at, window) == (first, last)]
        no_gap = [at for at in there if not text[covered:at].strip()]
        assert no_gap, (window, covered)
        at = max(no_gap)
        assert all(_n_tokens(window, model) <= model.max_length for model in models), window
        covered = max(covered, at + len(window))
    assert not text[covered:].strip()


def _lines(text: str, at: int, window: str) -> tuple[int, int]:
    first = 1 + text.count("\n", 0, at)
    return first, first + window.count("\n")


def _n_tokens(text: str, model: FineTunedModel) -> int:
    special = model.tokenizer.num_special_tokens_to_add() + len(mode_tokens(model.tokenizer))
    return len(model.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)) + special


def _read_until(text: str, model: FineTunedModel) -> int:
    """The character behind the last token of a text that a model reads."""
    model.tokenizer.backend_tokenizer.no_truncation()
    offsets = model.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).offsets
    room = model.max_length - _n_tokens("", model)
    return len(text) if len(offsets) <= room else int(offsets[room - 1][1])
