"""What an audit says of a data folder, for the table, the page and JSON: values, no files.

Fields are the keys of audit.json, in their order; what has a name of its own there is a mapping.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Alert",
    "Audit",
    "Contradiction",
    "Contradictions",
    "Duplicates",
    "FlagsTogether",
    "Lengths",
    "Project",
    "Quantiles",
    "Scores",
    "SharedGroups",
    "Telling",
    "WordCounts",
]

# By split.
Counts = dict[str, int]


@dataclass(frozen=True)
class Alert:
    """What a reader should know first: the figure with the threshold it passed, and what to do."""

    headline: str
    action: str


@dataclass(frozen=True)
class FlagsTogether:
    """How often flags stand together, over all rows of the files.

    together: (5, 5) functions that have both flags, on the diagonal those that have the one;
    flags_per_function: functions with 0, 1, 2 ... flags; labels: of each split, by flag.
    """

    names: list[str]
    functions: int
    together: list[list[int]]
    flags_per_function: list[int]
    labels: dict[str, Counts]

    @property
    def n_several(self) -> int:
        """Functions with more than one flag."""
        return sum(self.flags_per_function[2:])


@dataclass(frozen=True)
class Quantiles:
    """Lengths of one split; truncated: functions that a model would cut, None where none does."""

    p5: int
    p25: int
    median: int
    p75: int
    p95: int
    max: int
    truncated: int | None


@dataclass(frozen=True)
class Lengths:
    """How long functions are in one unit; percentiles: 101 lengths, shortest to longest.

    splits: of each split; classes: of each class or flag, in all splits, where it has functions.
    """

    unit: str
    max_length: int | None
    splits: dict[str, Quantiles]
    classes: dict[str, Quantiles]
    percentiles: list[int]


@dataclass(frozen=True)
class Duplicates:
    """For each level, how many functions of a split have another so alike in each split.

    pairs: for each level, how many two functions are so alike, each two counted once. crowded:
    functions in crowds too large to compare all in them.
    """

    levels: dict[str, dict[str, Counts]]
    pairs: Counts
    crowded: int


@dataclass(frozen=True)
class Contradiction:
    """Two functions that are alike and have different labels; sources: cut if very long."""

    ids: list[str]
    classes: list[str]
    sources: list[str]
    jaccard: float  # of token 4-grams; 1 may still be another text


@dataclass(frozen=True)
class Contradictions:
    """For each level, how many functions of a split have one so alike with another label.

    pairs: for each level, how many two functions these are, each two counted once, as in examples.
    """

    levels: dict[str, Counts]
    pairs: Counts
    examples: list[Contradiction]


@dataclass(frozen=True)
class Scores:
    """How well one baseline does; auc: the mean over classes, .5 where it orders nothing."""

    accuracy: float
    macro_f1: float
    auc: float | None


@dataclass(frozen=True)
class WordCounts:
    """The baselines on n test functions, by name; None where there are no functions."""

    n: int
    baselines: dict[str, Scores | None]


@dataclass(frozen=True)
class SharedGroups:
    """Groups of one kind, such as commits: how many there are, and how splits share them.

    named: by split, functions that name one; shared: of these, those whose group each other split
    has too.
    """

    n_groups: int
    named: Counts
    shared: dict[str, Counts]


@dataclass(frozen=True)
class Telling:
    """A group of which more train functions have a class than it would have by chance."""

    name: str
    class_name: str
    functions: int  # with that class
    of: int


@dataclass(frozen=True)
class Project:
    """A project: functions by split, its most frequent class with its share in all splits.

    words: the accuracy of counted words on its test functions; None where these are few.
    """

    name: str
    functions: Counts
    frequent: str
    share: float
    words: float | None


@dataclass(frozen=True)
class Audit:
    """Everything that the table, the page and --json show of a data folder.

    data: the folder; fingerprint to notes: as VulnerabilityData.summary has them; flags: None
    without flag columns; word_counts: on all test functions, and apart, on those that have no
    near-duplicate in train. groups, telling: by kind of group; projects: the largest, where there
    are several. alerts: what of all this asks for something to be done.
    """

    data: str
    functions: Counts
    fingerprint: str
    label_mode: str
    label_rule: str
    class_names: list[str]
    counts: dict[str, Counts]
    available: dict[str, Counts]
    dropped: dict[str, Counts]
    flag_counts: dict[str, Counts]
    flags_become: dict[str, str]
    division: dict[str, Any]
    notes: list[str]
    flags: FlagsTogether | None
    lengths: list[Lengths]
    duplicates: Duplicates
    contradictions: Contradictions
    word_counts: dict[str, WordCounts]
    groups: dict[str, SharedGroups]
    telling: dict[str, list[Telling]]
    projects: list[Project]
    alerts: list[Alert]

    def to_json(self) -> dict[str, Any]:
        """The content of audit.json."""
        values = dataclasses.asdict(self)
        # There, the baselines stand beside n.
        values["word_counts"] = {
            part: {"n": counts["n"], **counts["baselines"]}
            for part, counts in values["word_counts"].items()
        }
        return values
