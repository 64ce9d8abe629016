"""What any base model must beat: counted tokens with a linear classifier, and the majority."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from enstack.data.functions import Functions
from enstack.data.subsets import stratified_parts
from enstack.progress.bars import Bar

__all__ = [
    "BASELINE_TITLES",
    "flag_frequencies",
    "majority_class",
    "plain_baselines",
    "tfidf_logistic_regression",
    "with_absent_classes",
]

BASELINE_TITLES = {
    "tfidf_lr": "TF-IDF + logistic regression",
    "majority": "majority class",
    "frequency": "each flag's majority answer",
}
# A word or one sign of punctuation: brackets and operators tell C functions apart.
TOKEN = r"\w+|[^\w\s]"
MAX_TRAIN_FUNCTIONS = 100_000
MAX_TERMS = 200_000
ROWS_AT_ONCE = 4096


def plain_baselines(
    train: Functions, asked: Sequence[Functions], n_classes: int
) -> dict[str, np.ndarray]:
    """Probabilities (n, n_classes) float32 of every baseline, by name, of functions one by one.

    asked: the functions, n in all; those of `train` have labels to learn from.
    """
    n_rows = sum(map(len, asked))
    words = {"tfidf_lr": tfidf_logistic_regression(train, asked, n_classes)}
    if train.labels.ndim == 2:
        return {**words, "frequency": flag_frequencies(train.labels, n_rows)}
    return {**words, "majority": majority_class(train.labels, n_rows, n_classes)}


def tfidf_logistic_regression(
    train: Functions, asked: Sequence[Functions], n_classes: int
) -> np.ndarray:
    """Probabilities (n, n_classes) float32 from TF-IDF of 1- and 2-grams of tokens.

    asked: n functions in all. A one-vs-rest logistic regression (C=10) on sublinear TF-IDF, or of
    flags one regression each. It learns from at most MAX_TRAIN_FUNCTIONS functions, a stratified
    choice, so that counting the 2-grams of a whole VDISC fits in memory. A class that train lacks
    gets probability 0.
    """
    train = _at_most(train, MAX_TRAIN_FUNCTIONS)
    severally = train.labels.ndim == 2
    if not severally and len(np.unique(train.labels)) == 1:
        return majority_class(train.labels, sum(map(len, asked)), n_classes)
    tfidf = TfidfVectorizer(
        token_pattern=TOKEN,
        ngram_range=(1, 2),
        lowercase=False,
        sublinear_tf=True,
        max_features=MAX_TERMS,
    )
    learned = tfidf.fit_transform(_texts([train], "Counting words to learn from"))
    unknown = tfidf.transform(_texts(asked, "Counting words to predict from"))
    # liblinear runs in one thread and is the fastest here.
    regression = LogisticRegression(C=10.0, solver="liblinear", random_state=0)
    if severally:
        found = flag_frequencies(train.labels, unknown.shape[0])
        # One regression each; a flag that all functions have, or none, needs no regression.
        for flag in np.flatnonzero(train.labels.any(axis=0) & ~train.labels.all(axis=0)):
            regression.fit(learned, train.labels[:, flag])
            found[:, flag] = regression.predict_proba(unknown)[:, 1]
        return found
    classifier = OneVsRestClassifier(regression)  # liblinear needs the wrapper since 1.8
    classifier.fit(learned, train.labels)
    found = classifier.predict_proba(unknown)
    return with_absent_classes(found, np.unique(train.labels), n_classes)


def majority_class(train_labels: np.ndarray, n_test: int, n_classes: int) -> np.ndarray:
    """Probabilities (n_test, n_classes) float32: 1 for the most frequent class of train."""
    probabilities = np.zeros((n_test, n_classes), dtype=np.float32)
    probabilities[:, np.bincount(train_labels, minlength=n_classes).argmax()] = 1
    return probabilities


def flag_frequencies(train_flags: np.ndarray, n_rows: int) -> np.ndarray:
    """Probabilities (n_rows, k) float32: how often train has each flag, the same for every row."""
    probabilities: np.ndarray = np.tile(train_flags.mean(axis=0), (n_rows, 1)).astype(np.float32)
    return probabilities


def with_absent_classes(
    probabilities: np.ndarray, classes: np.ndarray, n_classes: int
) -> np.ndarray:
    """Columns of some classes (n, m) put into (n, n_classes) float32; the other columns are 0."""
    whole = np.zeros((len(probabilities), n_classes), dtype=np.float32)
    whole[:, classes] = probabilities
    return whole


def _at_most(functions: Functions, n_functions: int) -> Functions:
    """All functions, or a stratified choice of no more than n_functions."""
    if len(functions) <= n_functions:
        return functions
    n_parts = -(-len(functions) // n_functions)
    return functions.take(np.flatnonzero(stratified_parts(functions.labels, n_parts, 0) == 0))


def _texts(asked: Sequence[Functions], title: str) -> Iterator[str]:
    """The texts one by one, few at a time as Python strings."""
    with Bar(sum(map(len, asked)), title) as bar:
        for functions in asked:
            for sources in functions.batches(ROWS_AT_ONCE):
                yield from sources.to_pylist()
                bar.advance(len(sources))
