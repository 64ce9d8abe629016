"""Lines for the user: said without tearing a bar, and lengths of time in words."""

from __future__ import annotations

import sys

from tqdm.auto import tqdm

from enstack.console import put_sentences


def say(text: str) -> None:
    """Print a line for the user, without tearing a bar that is being drawn."""
    with tqdm.external_write_mode(file=sys.stdout):
        put_sentences(text, sys.stdout)


def duration(seconds: float) -> str:
    """A length of time for people: 42 s, 10 min, 1 h 40 min."""
    if seconds < 1:
        return "less than 1 s"
    # Above that, "60 s" would be printed.
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def about(seconds: float) -> str:
    """An estimate of a length of time: about 10 min, or less than 1 s."""
    return duration(seconds) if seconds < 1 else f"about {duration(seconds)}"


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter or Colab kernel."""
    # Not imported: where nobody has done so, this is no notebook.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    # IPython on a terminal has a shell too, and no kernel.
    return shell is not None and hasattr(shell, "kernel")
