"""The pairs of a flaw and its fix among test functions, kept for reports, which have no texts."""

from __future__ import annotations

import numpy as np

from enstack.data.pairs import pairs_of
from enstack.data.vulnerability_data import VulnerabilityData
from enstack.stacking_folder import StackingFolder

__all__ = ["write_pairs"]


def write_pairs(data: VulnerabilityData, folder: StackingFolder) -> None:
    """Store the pairs, where the labels tell what is vulnerable and commits tell of any pair."""
    test = data.splits["test"]
    vulnerable = data.task.vulnerable(test.labels)
    if vulnerable is not None and len(pairs := pairs_of(test, vulnerable)):
        np.savez(folder.pairs, ids=test.ids, pairs=pairs)
