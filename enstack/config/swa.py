"""Averaging of weights while training (SWA), which is always forced off, said once."""

from __future__ import annotations

import warnings
from typing import Any

from pydantic import TypeAdapter

SWA_WARNING = (
    "USE_SWA was forced to False: averaging weights while training costs 20-30 % of the speed "
    "and is meant for a final model only."
)


# A kind of its own, so that users are shown this one and not the warnings of libraries.
class ForcedOffWarning(UserWarning):
    """A setting was given that enstack always turns off."""


def asks_for_swa(value: Any) -> bool:
    """Whether a value of use_swa, in any spelling of yes and no, asks for averaging."""
    # pydantic's reading, as of every other yes and no among the settings.
    return bool(TypeAdapter(bool).validate_python(value))


def warn_of_swa() -> None:
    """Say that averaging was forced off."""
    warnings.warn(SWA_WARNING, ForcedOffWarning, stacklevel=3)
