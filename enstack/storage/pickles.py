"""Pickles that were not loaded: what to say of them. Nothing in one is ever executed."""

from __future__ import annotations

import pickle
import re
import struct

# What torch raises on files that are cut, changed or no torch files.
UNREADABLE = (
    OSError, RuntimeError, ValueError, EOFError, LookupError, AttributeError, TypeError,
    ArithmeticError, struct.error, pickle.UnpicklingError,
)  # fmt: skip


def why_unreadable(error: BaseException) -> str:
    """Why a torch file was not loaded, in one line without torch's own advice."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, KeyError):
        return f"{text} is missing, or unknown"
    if not isinstance(error, pickle.UnpicklingError):
        return text.splitlines()[0]
    # torch's own text advises to load without its guard, which no user should.
    named = re.search(r"GLOBAL (\S+)|got <class '(\S+)'>", text)
    holds = f"it names {named[1] or named[2]}" if named else "its pickle is damaged"
    return f"{holds}; only tensors, numbers and texts are loaded, and nothing in it was executed"
