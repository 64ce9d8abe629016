"""A function that is too long for a model, in windows that overlap and cover all of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

# For annotations alone: a window can be named where torch is not loaded.
if TYPE_CHECKING:
    from enstack.models.fine_tuned import FineTunedModel

__all__ = ["Window", "windows_of"]

OVERLAP = 4  # a window begins a quarter of its length before the last one ends


class Window(NamedTuple):
    """A part of a function: its text, and its first and last line, counted from 1."""

    text: str
    first_line: int
    last_line: int


def windows_of(text: str, models: Sequence[FineTunedModel], most: int) -> list[Window]:
    """The function as models read it, cut at their lengths; and what they cut, in further windows.

    One where no model cuts it. Each window but the first has room in all of the models. What lies
    behind so many characters (most) is in none.
    """
    whole = Window(text, 1, 1 + text.count("\n"))
    text = text[:most]
    cut = [offsets for model in models if (offsets := _places(text, model)) is not None]
    if not cut:
        return [whole]
    # A tokenizer that cuts on the left reads a function's end: then all is read in windows.
    from_left = any(model.tokenizer.truncation_side == "left" for model in models)
    end = 0 if from_left else min(_end(places, room, 0) for places, room in cut)
    windows, begun = [whole], 0
    while end < len(text):
        start = _line_start(text, max(end - (end - begun) // OVERLAP, begun + 1), end)
        begun = start if end else 0
        end = _fitted(text, begun, min(_end(places, room, begun) for places, room in cut), models)
        first = 1 + text.count("\n", 0, begun)
        windows.append(Window(text[begun:end], first, first + text.count("\n", begun, end)))
    return [windows[0], *(one for one in windows[1:] if one.text.strip())]


def _places(text: str, model: FineTunedModel) -> tuple[np.ndarray, int] | None:
    """Where each token of a text begins and ends (n, 2), and how many a model reads.

    None where it reads all of them.
    """
    from enstack.models.base_models import mode_tokens

    tokenizer = model.tokenizer
    special = tokenizer.num_special_tokens_to_add() + len(mode_tokens(tokenizer))
    room = model.max_length - special
    if len(text.encode("utf-8", "replace")) < room:
        return None  # no token is shorter than a byte
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    offsets = backend.encode(text, add_special_tokens=False).offsets
    return (np.array(offsets), room) if len(offsets) > room else None


def _end(places: np.ndarray, room: int, start: int) -> int:
    """Where the first token begins that has no room in a model which reads from a character on."""
    beyond = int(np.searchsorted(places[:, 1], start, side="right")) + room
    # What follows the last token of all is blank.
    return int(places[beyond, 0]) if beyond < len(places) else sys.maxsize


def _fitted(text: str, start: int, end: int, models: Sequence[FineTunedModel]) -> int:
    """Where a window must end so that no model cuts it.

    Cut out of its function, a text may have more tokens than it had there.
    """
    while cut := [found for model in models if (found := _places(text[start:end], model))]:
        # Blanks may be a token that begins and ends where the text ends.
        end = min(end - 1, start + min(int(places[room, 0]) for places, room in cut))
    return end


def _line_start(text: str, start: int, end: int) -> int:
    """The first line that begins in the overlap, or else its first character."""
    found = text.find("\n", start, end)
    return start if found < 0 else found + 1
