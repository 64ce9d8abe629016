"""Pictures of few pixels: most of the time of a report goes into drawing them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from matplotlib.figure import Figure

DOTS_PER_INCH = 30


@pytest.fixture(autouse=True, scope="session")
def small_pictures() -> Iterator[None]:
    """No test looks at the pixels; equal figures are still equal bytes."""
    original = Figure.savefig

    def savefig(figure: Figure, *args: Any, **settings: Any) -> None:
        original(figure, *args, **{**settings, "dpi": DOTS_PER_INCH})

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Figure, "savefig", savefig)
        yield
