"""Which functions were drawn into each split and how, so that others can do and check the same."""

from __future__ import annotations

from typing import Any

from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData
from enstack.data.subsets import shortages, wanted_counts


def subset_manifest(config: RunConfig, data: VulnerabilityData) -> dict[str, Any]:
    """What subset.json holds, as JSON values."""
    summary = data.summary()
    return {
        # Covers ids, labels and texts: whoever gets the same has the same functions.
        "fingerprint": data.fingerprint,
        "subset": config.subset,
        **({"division": summary["division"]} if data.division else {}),
        "seed": config.data_seed,
        "label_mode": config.label_mode,
        "label_rule": config.label_rule,
        "labels": data.label_rule,
        "drop_near_duplicates": config.drop_near_duplicates,
        "wanted": wanted_counts(config.subset, data.class_names),
        **{key: summary[key] for key in ("counts", "available", "dropped")},
        "shortages": [
            sentence
            for split, counts in data.available.items()
            for sentence in shortages(counts, data.n_available(split), config.subset, split)
        ],
        # An id is the split and the row in its file: the same for all who have the files.
        "ids": {split: functions.ids.tolist() for split, functions in data.splits.items()},
    }
