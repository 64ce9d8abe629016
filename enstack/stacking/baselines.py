"""What any base model must beat: counted words, length alone, and the majority."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.tree import DecisionTreeClassifier

from enstack.data.functions import Functions
from enstack.data.subsets import stratified_parts
from enstack.duplicates.lexer import LONGEST, lexer_tokens
from enstack.metrics.label_task import LabelTask
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.progress.bars import Bar
from enstack.stacking.costs import Clocks
from enstack.stacking.one_vs_rest import class_probabilities
from enstack.stacking.own_name import mask_own_name

__all__ = [
    "BASELINE_TITLES",
    "WORDS",
    "LengthAlone",
    "WordCounts",
    "at_most",
    "fit_length_alone",
    "fit_word_counts",
    "plain_baselines",
    "with_absent_classes",
]

WORDS = "baseline:tfidf_lr"
BASELINE_TITLES = {
    "tfidf_lr": "TF-IDF + logistic regression",
    "length": "length alone",
    "flawfinder": "Flawfinder (a source of VDISC's labels)",
    "majority": "majority class",
    "frequency": "each flag's majority answer",
}
# Features of n functions, and the plainest answer (n, k) to each -> probabilities (n, k).
Predict = Callable[[Any, np.ndarray], np.ndarray]
# A word or one sign of punctuation: brackets and operators tell C functions apart.
TOKEN = r"\w+|[^\w\s]"
MAX_TRAIN_FUNCTIONS = 100_000
MAX_TERMS = 200_000
ROWS_AT_ONCE = 4096
MAX_LEAVES, MIN_FUNCTIONS = 16, 5  # of the tree that knows lengths alone


@dataclass(frozen=True)
class WordCounts:
    """Counted words with a linear classifier, fitted, to be asked of any functions.

    predict: texts' features (n, d), and what is said of a class from which nothing could be learned
    (n, k) -> probabilities (n, k). None of both where nothing was learned.
    """

    train: Functions
    task: LabelTask
    words: TfidfVectorizer | None
    predict: Predict | None

    def predict_proba(self, asked: Sequence[Functions]) -> np.ndarray:
        """Probabilities (n, k) float32 of n functions in all."""
        plainest = self.task.plainest_probabilities(self.train.labels, sum(map(len, asked)))
        if self.words is None or self.predict is None:
            return plainest
        return self.predict(
            self.words.transform(_texts(asked, "Counting words to predict from")), plainest
        )


@dataclass(frozen=True)
class LengthAlone:
    """A tree that knows nothing of a function but its length, fitted, to be asked of any functions.

    predict: as that of WordCounts, with lengths (n, 2) for features; None where nothing was
    learned.
    """

    train: Functions
    task: LabelTask
    predict: Predict | None

    def predict_proba(self, asked: Sequence[Functions]) -> np.ndarray:
        """Probabilities (n, k) float32 of n functions in all."""
        plainest = self.task.plainest_probabilities(self.train.labels, sum(map(len, asked)))
        return plainest if self.predict is None else self.predict(_lengths(asked), plainest)


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


def fit_word_counts(train: Functions, task: LabelTask) -> WordCounts:
    """TF-IDF of 1- and 2-grams of tokens, and what is learned from them.

    A one-vs-rest logistic regression (C=10, balanced classes) on sublinear TF-IDF of what stands in
    two functions at least, or of flags one regression each. The function's own name is masked;
    comments stay as they are. It learns from at most MAX_TRAIN_FUNCTIONS functions, a stratified
    choice, so that counting the 2-grams of a whole VDISC fits in memory. A class that train lacks
    gets probability 0.
    """
    train = at_most(train, task, MAX_TRAIN_FUNCTIONS)
    if not task.learnable(train.labels):
        return WordCounts(train, task, None, None)
    tfidf = TfidfVectorizer(
        # A name tells the class in made-up suites, and the file in real code: memory, not skill.
        preprocessor=mask_own_name,
        token_pattern=TOKEN,
        ngram_range=(1, 2),
        lowercase=False,  # case tells names apart in C
        sublinear_tf=True,
        min_df=2,  # of what a single function has, nothing can be learned
        max_features=MAX_TERMS,
    )
    # Words are counted in train alone: what only test has must not shape the features.
    try:
        learned = tfidf.fit_transform(_texts([train], "Counting words to learn from"))
    except ValueError:  # no word stands in two functions
        return WordCounts(train, task, None, None)
    # liblinear runs in one thread and is the fastest here.
    regression = LogisticRegression(
        C=10.0, class_weight="balanced", solver="liblinear", random_state=0
    )
    return WordCounts(
        train, task, tfidf, FITTED[task.problem_type](regression, learned, train.labels)
    )


def fit_length_alone(train: Functions, task: LabelTask) -> LengthAlone:
    """What length alone tells of the classes, or flags, without a word read.

    A decision tree of at most MAX_LEAVES leaves for each, with balanced classes, on characters and
    lexer tokens; it learns from the functions that word counts learn from.
    """
    train = at_most(train, task, MAX_TRAIN_FUNCTIONS)
    if not task.learnable(train.labels):
        return LengthAlone(train, task, None)
    tree = DecisionTreeClassifier(
        max_leaf_nodes=MAX_LEAVES,
        min_samples_leaf=MIN_FUNCTIONS,
        class_weight="balanced",
        random_state=0,
    )
    return LengthAlone(
        train, task, FITTED[task.problem_type](tree, _lengths([train]), train.labels)
    )


def _fit_classes(classifier: Any, learned: Any, labels: np.ndarray) -> Predict:
    """One class against the rest; a class that train lacks gets probability 0."""
    each = OneVsRestClassifier(classifier)  # liblinear needs the wrapper since 1.8
    each.fit(learned, labels)
    classes = np.unique(labels)
    return lambda unknown, plainest: with_absent_classes(
        class_probabilities(each, unknown), classes, plainest.shape[1]
    )


def _fit_flags(classifier: Any, learned: Any, flags: np.ndarray) -> Predict:
    """One classifier each; a flag that all functions have, or none, keeps the plainest answer."""
    learnable = np.flatnonzero(flags.any(axis=0) & ~flags.all(axis=0))
    each = {flag: clone(classifier).fit(learned, flags[:, flag]) for flag in learnable}

    def predict(unknown: Any, plainest: np.ndarray) -> np.ndarray:
        chances = plainest.copy()
        for flag, fitted in each.items():
            chances[:, flag] = fitted.predict_proba(unknown)[:, 1]
        return chances

    return predict


# By the label task's problem_type.
FITTED = {
    OneClass.problem_type: _fit_classes,
    SeveralFlags.problem_type: _fit_flags,
}


def with_absent_classes(
    probabilities: np.ndarray, classes: np.ndarray, n_classes: int
) -> np.ndarray:
    """Columns of some classes (n, m) put into (n, n_classes) float32; the other columns are 0."""
    whole = np.zeros((len(probabilities), n_classes), dtype=np.float32)
    # scikit-learn gives a column only for classes it was fitted on: columns must mean the same
    # for every model that is compared.
    whole[:, classes] = probabilities
    return whole


def at_most(functions: Functions, task: LabelTask, n_functions: int) -> Functions:
    """All functions, or a stratified choice of no more than n_functions."""
    if len(functions) <= n_functions:
        return functions
    n_parts = -(-len(functions) // n_functions)
    # Seed 0, not the run's: on equal data the baseline is the same beside every seed.
    parts = stratified_parts(task.strata(functions.labels), n_parts, 0)
    return functions.take(np.flatnonzero(parts == 0))


def _texts(asked: Sequence[Functions], title: str) -> Iterator[str]:
    """The texts one by one, few at a time as Python strings."""
    with Bar(sum(map(len, asked)), title) as bar:
        for functions in asked:
            for sources in functions.batches(ROWS_AT_ONCE):
                # Words are counted as far as functions are compared: a list of all would not fit.
                yield from (source[:LONGEST] for source in sources.to_pylist())
                bar.advance(len(sources))


def _lengths(asked: Sequence[Functions]) -> np.ndarray:
    """Characters and lexer tokens of each function, one by one: (n, 2) int64."""
    lengths = [np.zeros((0, 2), dtype=np.int64)]
    for functions in asked:
        for sources in functions.batches(ROWS_AT_ONCE):
            characters = pc.utf8_length(sources).to_numpy(zero_copy_only=False)
            tokens = [len(lexer_tokens(source)) for source in sources.to_pylist()]
            lengths.append(np.column_stack([characters, tokens]))
    return np.concatenate(lengths)
