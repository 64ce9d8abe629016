"""What is in the data: classes, flags, lengths, duplicates, contradictions, groups, together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from enstack.auditing.alerts import alerts_of
from enstack.auditing.content import (
    Audit,
    Duplicates,
    FlagsTogether,
    Lengths,
)
from enstack.auditing.contradictions import find_contradictions
from enstack.auditing.groups import projects_of, shared_groups, telling_groups
from enstack.auditing.lengths import character_lengths, summarize_lengths, tokenizer_lengths
from enstack.auditing.without_model import without_a_code_model
from enstack.config import RunConfig, base_model_names
from enstack.data.functions import VulnerabilityData
from enstack.data.labels import CWE_CLASSES
from enstack.duplicates.contamination import NEAR, split_of_each
from enstack.duplicates.near_duplicates import NearDuplicates, find_near_duplicates
from enstack.inputs import base_model, read_run_data, read_splits
from enstack.storage.caches import holding_caches

__all__ = ["audit"]

# How alike two functions are: None is the same text, a number a Jaccard of token 4-grams.
LEVELS = {"same text": None, "Jaccard >= 0.9": 0.9, f"Jaccard >= {NEAR}": NEAR}


@holding_caches()
def audit(config: RunConfig, tokenizers: Sequence[str] = ()) -> Audit:
    """Everything that the table, the page and --json show of a data folder.

    config: its data_dir, label_mode, subset and max_length count. tokenizers: of these base models,
    names or folders. Raises DataError for data that can't be used, ConfigError for a tokenizer that
    can't be loaded.
    """
    # First, for reading a large folder takes minutes and a misspelt name is seen at once.
    models = _tokenizers(config, tokenizers)
    data = read_run_data(config, keep_clean=True)
    sources = [split.sources for split in data.splits.values()]
    # At the lowest level: the stricter ones choose among its pairs.
    near = find_near_duplicates(sources, NEAR)
    characters = character_lengths(sources)
    word_counts, right = without_a_code_model(data, near)
    found = Audit(
        data=config.data_dir,
        **{"division": {}, **data.summary()},
        flags=_flags(config),
        lengths=_lengths(data, near, characters, models, config.max_length),
        duplicates=_duplicates(data, near),
        contradictions=find_contradictions(data, near, LEVELS, _rows(data)),
        word_counts=word_counts,
        groups=shared_groups(data),
        telling=telling_groups(data),
        projects=projects_of(data, right),
        alerts=[],
    )
    return dataclasses.replace(found, alerts=alerts_of(found))


def _tokenizers(config: RunConfig, names: Sequence[str]) -> dict[str, Any]:
    """The tokenizers by the names of their base models; a bad one is refused before any work."""
    if not names:
        return {}
    # Here, for it brings torch, which takes seconds to load.
    from enstack.models.base_models import load_tokenizer

    named = zip(base_model_names(names), names, strict=True)
    return {name: load_tokenizer(base_model(name, model, config)) for name, model in named}


def _flags(config: RunConfig) -> FlagsTogether | None:
    """How often flags stand together, of all rows of the files; None without flag columns."""
    # From the files, for the labels of a run tell one flag of several in most label modes.
    read, _ = read_splits(config)
    tables = {name: columns.table for name, columns in read.items()}
    flags = {name: table.flags for name, table in tables.items() if table.flags is not None}
    if not flags:
        return None
    # The files' flags are bytes, whose products below would overflow from 128 on.
    whole = np.concatenate(list(flags.values())).astype(np.int64)
    per_function = np.bincount(whole.sum(axis=1), minlength=len(CWE_CLASSES) + 1)
    return FlagsTogether(
        names=list(CWE_CLASSES),
        functions=len(whole),
        together=(whole.T @ whole).tolist(),
        flags_per_function=per_function.tolist(),
        labels={name: _totals(rows) for name, rows in flags.items()},
    )


def _totals(flags: np.ndarray) -> dict[str, int]:
    totals = flags.astype(np.int64).sum(axis=0).tolist()
    return dict(zip(CWE_CLASSES, totals, strict=True))


def _rows(data: VulnerabilityData) -> dict[str, np.ndarray]:
    """The rows of each split, counted through all of them."""
    split_of = split_of_each(data)
    return {name: np.flatnonzero(split_of == number) for number, name in enumerate(data.splits)}


def _rows_of_classes(data: VulnerabilityData) -> dict[str, np.ndarray]:
    """The rows of each class, or with each flag, counted through all splits."""
    labels = np.concatenate([split.labels for split in data.splits.values()])
    has = labels.T if labels.ndim == 2 else labels == np.arange(data.task.n_classes)[:, None]
    return dict(zip(data.class_names, map(np.flatnonzero, has), strict=True))


def _lengths(
    data: VulnerabilityData,
    near: NearDuplicates,
    characters: np.ndarray,
    models: dict[str, Any],
    max_length: int,
) -> list[Lengths]:
    sources = [split.sources for split in data.splits.values()]
    rows = (_rows(data), _rows_of_classes(data))
    by_unit = [
        summarize_lengths("characters", characters, *rows, None),
        summarize_lengths("lexer tokens", near.lengths, *rows, None),
    ]
    for name, tokenizer in models.items():
        lengths = tokenizer_lengths(sources, tokenizer, f"Tokens of {name}")
        by_unit.append(summarize_lengths(f"tokens of {name}", lengths, *rows, max_length))
    return by_unit


def _duplicates(data: VulnerabilityData, near: NearDuplicates) -> Duplicates:
    """For each level, how many functions of a split have another so alike in each split."""
    levels: dict[str, dict[str, dict[str, int]]] = {}
    pairs: dict[str, int] = {}
    for level, threshold in LEVELS.items():
        neighbours = near.neighbours(split_of_each(data), len(data.splits), threshold)
        levels[level] = {
            name: dict(zip(data.splits, (neighbours[rows] > 0).sum(axis=0).tolist(), strict=True))
            for name, rows in _rows(data).items()
        }
        # Each of the two counts the other.
        pairs[level] = int(neighbours.sum()) // 2
    return Duplicates(levels, pairs, near.n_crowded)
