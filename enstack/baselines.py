"""What any base model must beat: counted tokens with a linear classifier, and the majority."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from enstack.data import Functions, stratified_parts

__all__ = ["majority_class", "tfidf_logistic_regression", "with_absent_classes"]

# A word or one sign of punctuation: brackets and operators tell C functions apart.
TOKEN = r"\w+|[^\w\s]"
MAX_TRAIN_FUNCTIONS = 100_000
MAX_TERMS = 200_000
ROWS_AT_ONCE = 4096


def tfidf_logistic_regression(train: Functions, test: Functions, n_classes: int) -> np.ndarray:
    """Probabilities (n_test, n_classes) float32 from TF-IDF of 1- and 2-grams of tokens.

    A one-vs-rest logistic regression (C=10) on sublinear TF-IDF. It learns from at most
    MAX_TRAIN_FUNCTIONS functions, a stratified choice, so that counting the 2-grams of a whole
    VDISC fits in memory. A class that train lacks gets probability 0.
    """
    train = _at_most(train, MAX_TRAIN_FUNCTIONS)
    classes = np.unique(train.labels)
    if len(classes) == 1:
        return majority_class(train.labels, len(test), n_classes)
    tfidf = TfidfVectorizer(
        token_pattern=TOKEN,
        ngram_range=(1, 2),
        lowercase=False,
        sublinear_tf=True,
        max_features=MAX_TERMS,
    )
    # liblinear runs in one thread and is the fastest here; it needs the wrapper since 1.8.
    classifier = OneVsRestClassifier(LogisticRegression(C=10.0, solver="liblinear", random_state=0))
    classifier.fit(tfidf.fit_transform(_texts(train)), train.labels)
    found = classifier.predict_proba(tfidf.transform(_texts(test)))
    return with_absent_classes(found, classes, n_classes)


def majority_class(train_labels: np.ndarray, n_test: int, n_classes: int) -> np.ndarray:
    """Probabilities (n_test, n_classes) float32: 1 for the most frequent class of train."""
    probabilities = np.zeros((n_test, n_classes), dtype=np.float32)
    probabilities[:, np.bincount(train_labels, minlength=n_classes).argmax()] = 1
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


def _texts(functions: Functions) -> Iterator[str]:
    """The texts one by one, few at a time as Python strings."""
    for sources in functions.batches(ROWS_AT_ONCE):
        yield from sources.to_pylist()
