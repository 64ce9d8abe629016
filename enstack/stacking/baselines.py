"""What any base model must beat: counted words, length alone, and the majority."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from sklearn.tree import DecisionTreeClassifier

from enstack.data.functions import Functions
from enstack.duplicates.lexer import lexer_tokens
from enstack.metrics.label_task import LabelTask
from enstack.stacking.costs import Clocks
from enstack.stacking.learned import Learned, learn, nothing_learned
from enstack.stacking.word_counts import (
    MAX_TRAIN_FUNCTIONS,
    ROWS_AT_ONCE,
    WORDS,
    WordCounts,
    at_most,
    fit_word_counts,
)

__all__ = [
    "BASELINE_TITLES",
    "WORDS",
    "LengthAlone",
    "fit_length_alone",
    "plain_baselines",
]

BASELINE_TITLES = {
    "tfidf_lr": "TF-IDF + logistic regression",
    "length": "length alone",
    "flawfinder": "Flawfinder (a source of VDISC's labels)",
    "majority": "majority class",
    "frequency": "each flag's majority answer",
}
MAX_LEAVES, MIN_FUNCTIONS = 16, 5  # of the tree that knows lengths alone


@dataclass(frozen=True)
class LengthAlone:
    """A tree that knows nothing of a function but its length, to be asked of any functions."""

    learned: Learned

    def predict_proba(self, asked: Sequence[Functions]) -> np.ndarray:
        """Probabilities (n, k) float32 of n functions in all."""
        return self.learned.predict_proba(_lengths(asked))


def plain_baselines(
    train: Functions,
    asked: Sequence[Functions],
    task: LabelTask,
    words: WordCounts | None = None,
    clocks: Clocks | None = None,
) -> dict[str, np.ndarray]:
    """Probabilities (n, k) float32 of every baseline that learns, by name, the plainest one last.

    asked: the functions, n in all; those of `train` have labels to learn from. words: where they
    are counted and learned from already. clocks: are told what each takes.
    """
    clocks = Clocks() if clocks is None else clocks
    fits: dict[str, Callable[[], WordCounts | LengthAlone]] = {
        "tfidf_lr": lambda: words or fit_word_counts(train, task),
        "length": lambda: fit_length_alone(train, task),
    }
    found = {}
    for name, fit in fits.items():
        clock = clocks[f"baseline:{name}"]
        with clock.learns():
            fitted = fit()
        with clock.predicts():
            found[name] = fitted.predict_proba(asked)
    with clocks[f"baseline:{task.plainest}"].predicts():
        found[task.plainest] = task.plainest_probabilities(train.labels, sum(map(len, asked)))
    return found


def fit_length_alone(train: Functions, task: LabelTask) -> LengthAlone:
    """What length alone tells of the classes, or flags, without a word read.

    A decision tree of at most MAX_LEAVES leaves for each, with balanced classes, on characters and
    lexer tokens; it learns from the functions that word counts learn from.
    """
    train = at_most(train, task, MAX_TRAIN_FUNCTIONS)
    if not task.learnable(train.labels):
        return LengthAlone(nothing_learned(task, train.labels))
    tree = DecisionTreeClassifier(
        max_leaf_nodes=MAX_LEAVES,
        min_samples_leaf=MIN_FUNCTIONS,
        class_weight="balanced",
        random_state=0,
    )
    return LengthAlone(learn(tree, _lengths([train]), task, train.labels))


def _lengths(asked: Sequence[Functions]) -> np.ndarray:
    """Characters and lexer tokens of each function, one by one: (n, 2) int64."""
    lengths = [np.zeros((0, 2), dtype=np.int64)]
    for functions in asked:
        for sources in functions.batches(ROWS_AT_ONCE):
            characters = pc.utf8_length(sources).to_numpy(zero_copy_only=False)
            tokens = [len(lexer_tokens(source)) for source in sources.to_pylist()]
            lengths.append(np.column_stack([characters, tokens]))
    return np.concatenate(lengths)
