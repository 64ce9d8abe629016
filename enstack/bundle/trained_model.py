"""TrainedModel: base models and what makes one answer of theirs, for functions never seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from enstack.data.texts import normalized
from enstack.duplicates.lexer import LONGEST
from enstack.errors import ConfigError, DataError
from enstack.lines.methods import DEFAULT, line_scores, shares, the_method
from enstack.lines.occlusion import text_occlusion
from enstack.metrics.label_task import CLEAN, LabelTask
from enstack.models.fine_tuned import FineTunedModel
from enstack.models.windows import Window, windows_of
from enstack.stacking.candidates import Combination
from enstack.stacking.meta_features import BaseModelProbabilities
from enstack.stacking.word_counts import WordCounts


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """What a run has trained, for functions that it has never seen.

    name: as in the leaderboard, "stack:lr", "base:codebert" or "vote:mean". combination: what makes
    one answer of the base models' answers, or counted words, which ask none. thresholds: (k,) of
    several flags, None where a function has one class.
    """

    name: str
    task: LabelTask
    base_models: tuple[FineTunedModel, ...]
    combination: Combination | WordCounts = field(repr=False)
    thresholds: np.ndarray | None = field(repr=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, or flags, in the order of the probabilities' columns."""
        return self.task.class_names

    def predict_proba(self, functions: Iterable[str]) -> np.ndarray:
        """Probabilities (n, k) float32 of each class, or flag, of n functions in C or C++.

        Raises DataError for what is no text, or a blank one.
        """
        texts = _checked_texts(functions)
        if not texts:
            return np.empty((0, len(self.class_names)), dtype=np.float32)
        if isinstance(self.combination, WordCounts):
            return self.combination.of_texts(texts)
        # Combinations join what base models say by id: the places serve as such.
        ids, unseen = np.arange(len(texts)).astype(str), np.zeros(len(texts), dtype=np.bool_)
        said = [
            BaseModelProbabilities(model.name, ids, model.predict_proba(texts), unseen)
            for model in self.base_models
        ]
        return self.combination.predict_proba(said, self.task)

    def predict(self, functions: Iterable[str]) -> np.ndarray:
        """The class name (n,) of each function, or whether it has each flag: (n, k) bool."""
        decisions = self.task.decide(self.predict_proba(functions), self.thresholds)
        return decisions if decisions.ndim == 2 else np.array(self.class_names)[decisions]

    def line_scores(
        self, functions: Iterable[str], class_name: str | None = None, *, method: str = DEFAULT
    ) -> list[np.ndarray]:
        """How much each line (n_lines,) float64 tells for a class, below 0 against it, in shares.

        class_name: None for the likeliest class of each function but the clean one. What is too
        long for a base model is read in windows, and the one that is likeliest to have the class
        counts: lines outside of it have 0. Of counted words it is occlusion in any case. Raises
        ConfigError for a class or method that is none, DataError for what is no text.
        """
        texts, columns = _checked_texts(functions), self._columns(class_name)
        windows = [windows_of(text, self.base_models, LONGEST) for text in texts]
        said = self.predict_proba([part.text for of_one in windows for part in of_one])
        parts, classes, start = list[Window](), list[int](), 0
        for of_one in windows:
            likely = said[start : start + len(of_one), columns]
            part, column = divmod(int(likely.argmax()), len(columns))
            parts.append(of_one[part])
            classes.append(columns[column])
            start += len(of_one)
        found = self.line_scores_as_read([part.text for part in parts], classes, method=method)
        return [
            _in_function(scores, part, 1 + text.count("\n"))
            for scores, part, text in zip(found, parts, texts, strict=True)
        ]

    def line_scores_as_read(
        self, texts: Sequence[str], classes: Sequence[int], *, method: str = DEFAULT
    ) -> list[np.ndarray]:
        """The same for a column of the probabilities each, of texts that models cut at will."""
        if isinstance(self.combination, WordCounts):
            the_method(method)
            # Counted words have no tokens to follow, and are counted again in no time.
            falls = text_occlusion(self.combination.of_texts, texts, classes)
            return [shares(fall) for fall in falls]
        weights = self.combination.weights
        return line_scores(self.base_models, weights, texts, classes, method)

    def _columns(self, class_name: str | None) -> list[int]:
        """The columns of the classes that may be meant."""
        asked = [one for one in self.class_names if one != CLEAN]
        if class_name is not None and class_name not in self.class_names:
            raise ConfigError(
                f"The class must be one of {', '.join(self.class_names)}, found {class_name!r:.40}."
            )
        meant = asked if class_name is None else [class_name]
        return [self.class_names.index(one) for one in meant]


def _in_function(scores: np.ndarray, part: Window, n_lines: int) -> np.ndarray:
    """The scores of a window's lines, at their places in the function."""
    found = np.zeros(n_lines)
    first = part.first_line - 1
    found[first : first + len(scores)] = scores
    return found


def _checked_texts(functions: Iterable[str]) -> list[str]:
    """The functions as the run would have read them from a file."""
    # A table's columns and a mapping's keys are texts too, and a set has no order to answer in.
    if isinstance(functions, str | bytes | Mapping | Set) or hasattr(functions, "columns"):
        raise DataError(
            f"Functions must be a list of texts, found {_kind(functions)}: write [text] for one."
        )
    try:
        listed = list(functions)
    except TypeError:
        raise DataError(f"Functions must be a list of texts, found {_kind(functions)}.") from None
    for place, function in enumerate(listed):
        if not isinstance(function, str) or not function.strip():
            raise DataError(
                f"Every function must be a text that is not blank, found {function!r:.60} at place "
                f"{place} (places count from 0). Leave it out."
            )
    return normalized(listed)


def _kind(functions: object) -> str:
    return "one text" if isinstance(functions, str | bytes) else f"a {type(functions).__name__}"
