"""The pairs of a flaw and its fix among test functions, kept for reports, which have no texts."""

from __future__ import annotations

from typing import Any

import numpy as np

from enstack.data.pairs import pairs_of
from enstack.data.vulnerability_data import VulnerabilityData
from enstack.stacking_folder import StackingFolder
from enstack.storage.files import sha256_json

__all__ = ["listed_pairs_digest", "write_pairs"]


def write_pairs(data: VulnerabilityData, folder: StackingFolder) -> None:
    """Store the pairs, as a file lists them, or else as commits and names tell.

    Nothing is written where labels do not tell what is vulnerable, and where test has no pair.
    """
    test, listed = data.splits["test"], data.listed_pairs
    vulnerable = data.task.vulnerable(test.labels)
    if vulnerable is None:
        return
    pairs = pairs_of(test, vulnerable) if listed is None else listed.rows
    arrays: dict[str, Any] = {"ids": test.ids, "pairs": pairs}
    if listed is not None:
        arrays |= {"listed": np.array(listed.n), "listed_in": np.array(listed.file)}
    if len(pairs):
        np.savez(folder.pairs, **arrays)


def listed_pairs_digest(data: VulnerabilityData) -> str | None:
    """What stands for the pairs that a file lists, where one does: it may come after a run."""
    listed = data.listed_pairs
    return None if listed is None else sha256_json([listed.file, listed.n, listed.rows.tolist()])
