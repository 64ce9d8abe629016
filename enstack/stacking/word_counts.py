"""Counted words with a linear classifier: the baseline without a GPU, fitted, kept and asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from enstack.data.functions import Functions
from enstack.data.subsets import stratified_parts
from enstack.duplicates.lexer import LONGEST
from enstack.metrics.label_task import LabelTask
from enstack.progress.bars import Bar
from enstack.stacking.learned import Learned, learn, nothing_learned
from enstack.stacking.own_name import mask_own_name
from enstack.stacking.skops_files import SkopsFile

__all__ = [
    "MAX_TRAIN_FUNCTIONS",
    "ROWS_AT_ONCE",
    "WORDS",
    "WordCounts",
    "at_most",
    "fit_word_counts",
    "load_word_counts",
    "save_word_counts",
]

WORDS = "baseline:tfidf_lr"
# A word or one sign of punctuation: brackets and operators tell C functions apart.
TOKEN = r"\w+|[^\w\s]"
MAX_TRAIN_FUNCTIONS = 100_000
MAX_TERMS = 200_000
ROWS_AT_ONCE = 4096
FILE = SkopsFile(
    "the word counts of a run",
    frozenset({"terms", "idf", "estimators", "columns", "plainest", "of_flags"}),
)
# What it says of these must be the same here as where it was saved; no run's function is stored.
PROBED = ("void FUNCTION(char *data) { strcpy(to, data); }", "int FUNCTION(void) { return 0; }")


@dataclass(frozen=True)
class WordCounts:
    """Counted words with a linear classifier, fitted, to be asked of any functions.

    words: None where nothing was learned.
    """

    words: TfidfVectorizer | None
    learned: Learned

    @property
    def base_models(self) -> tuple[str, ...]:
        """None: it reads functions itself."""
        return ()

    def predict_proba(self, asked: Sequence[Functions]) -> np.ndarray:
        """Probabilities (n, k) float32 of n functions in all."""
        n_functions = sum(map(len, asked))
        if self.words is None:
            return np.tile(self.learned.plainest, (n_functions, 1))
        return self.of_texts(_texts(asked, "Counting words to predict from"))

    def of_texts(self, texts: Iterable[str]) -> np.ndarray:
        """Probabilities (n, k) float32 of texts of functions, as far as functions are compared."""
        # Words are counted as far as functions are compared: more would not fit in memory.
        cut = (text[:LONGEST] for text in texts)
        if self.words is None:
            return np.tile(self.learned.plainest, (sum(1 for _ in cut), 1))
        return self.learned.predict_proba(self.words.transform(cut))


def fit_word_counts(train: Functions, task: LabelTask) -> WordCounts:
    """TF-IDF of 1- and 2-grams of tokens, and what is learned from them.

    A one-vs-rest logistic regression (C=10, balanced classes) on sublinear TF-IDF of what stands in
    two functions at least, or of flags one regression each. The function's own name is masked;
    comments stay as they are. It learns from at most MAX_TRAIN_FUNCTIONS functions, a stratified
    choice, so that counting the 2-grams of a whole VDISC fits in memory. A class that train lacks
    gets probability 0.
    """
    train = at_most(train, task, MAX_TRAIN_FUNCTIONS)
    nothing = WordCounts(None, nothing_learned(task, train.labels))
    if not task.learnable(train.labels):
        return nothing
    # Of what a single function has, nothing can be learned.
    tfidf = _vectorizer(min_df=2, max_features=MAX_TERMS)
    # Words are counted in train alone: what only test has must not shape the features.
    texts = (text[:LONGEST] for text in _texts([train], "Counting words to learn from"))
    try:
        features = tfidf.fit_transform(texts)
    except ValueError:  # no word stands in two functions
        return nothing
    # liblinear runs in one thread and is the fastest here.
    regression = LogisticRegression(
        C=10.0, class_weight="balanced", solver="liblinear", random_state=0
    )
    return WordCounts(tfidf, learn(regression, features, task, train.labels))


def at_most(functions: Functions, task: LabelTask, n_functions: int) -> Functions:
    """All functions, or a stratified choice of no more than n_functions."""
    if len(functions) <= n_functions:
        return functions
    n_parts = -(-len(functions) // n_functions)
    # Seed 0, not the run's: on equal data the baseline is the same beside every seed.
    parts = stratified_parts(task.strata(functions.labels), n_parts, 0)
    return functions.take(np.flatnonzero(parts == 0))


def save_word_counts(path: Path, counts: WordCounts) -> None:
    """Write fitted word counts as one .skops file, which holds no code."""
    terms, idf = [], np.zeros(0)
    if counts.words is not None:
        terms, idf = counts.words.get_feature_names_out().tolist(), counts.words.idf_
    learned = counts.learned
    content = {
        "terms": "\n".join(terms),  # a token has no blanks, a list of texts takes ten times as much
        "idf": idf,
        "estimators": learned.estimators,
        "columns": learned.columns,
        "plainest": learned.plainest,
        "of_flags": learned.of_flags,
    }
    FILE.write(path, content, counts.of_texts(PROBED))


def load_word_counts(path: Path) -> WordCounts:
    """Read a file of save_word_counts; CheckpointError as load_meta_classifier."""
    return FILE.read(path, _unpacked, lambda counts: counts.of_texts(PROBED))


def _unpacked(content: dict[str, Any]) -> WordCounts:
    words = None
    if len(content["idf"]):
        words = _vectorizer(vocabulary=content["terms"].split("\n"))
        words.idf_ = content["idf"]
    names = ("estimators", "columns", "plainest", "of_flags")
    return WordCounts(words, Learned(**{name: content[name] for name in names}))


def _vectorizer(**more: Any) -> TfidfVectorizer:
    return TfidfVectorizer(
        # A name tells the class in made-up suites, and the file in real code: memory, not skill.
        preprocessor=mask_own_name,
        token_pattern=TOKEN,
        ngram_range=(1, 2),
        lowercase=False,  # case tells names apart in C
        sublinear_tf=True,
        **more,
    )


def _texts(asked: Sequence[Functions], title: str) -> Iterator[str]:
    """The texts one by one, few at a time as Python strings: a list of all would not fit."""
    with Bar(sum(map(len, asked)), title) as bar:
        for functions in asked:
            for sources in functions.batches(ROWS_AT_ONCE):
                yield from sources.to_pylist()
                bar.advance(len(sources))
