"""The toy model that ships with the package, for a first scan: a bundle of counted words."""

from __future__ import annotations

from pathlib import Path

from enstack.progress.screen import warn

__all__ = ["SAMPLE", "toy_model"]

SAMPLE = Path(__file__).parent / "sample"  # written by tools/sample_bundle.py


def toy_model() -> Path:
    """The toy model's bundle, once it is said aloud what it is worth."""
    warn(
        "⚠️  No model is named, so a TOY MODEL judges: it has counted words of 600 made-up "
        "functions, and its findings mean nothing for your code. Name a model (--model, in a "
        "notebook MODEL), or train one of your own (enstack run)."
    )
    return SAMPLE
