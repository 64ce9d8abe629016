"""TrainedModel: base models and what makes one answer of theirs, for functions never seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from enstack.data.texts import normalized
from enstack.errors import DataError
from enstack.metrics.label_task import LabelTask
from enstack.models.hardware import Hardware
from enstack.models.predict import predict_probabilities
from enstack.models.tokens import tokenize_in_memory
from enstack.progress.stopping import stop_requests
from enstack.stacking.candidates import Combination
from enstack.stacking.meta_features import BaseModelProbabilities
from enstack.stacking.word_counts import WordCounts

QUIET_BATCHES = 8


@dataclass(frozen=True, eq=False)
class FineTunedModel:
    """A base model of a run with its tokenizer, ready to predict.

    batch_size: functions predicted at once, as in the run.
    """

    name: str
    classifier: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    max_length: int
    batch_size: int
    hardware: Hardware

    def predict_proba(self, functions: list[str]) -> np.ndarray:
        """Probabilities (n, k) float32, by the road that the run took for its test functions."""
        with stop_requests() as stop:
            return predict_probabilities(
                self.classifier,
                tokenize_in_memory(functions, self.tokenizer, max_length=self.max_length),
                self.hardware,
                batch_size=self.batch_size,
                pad_token_id=self.tokenizer.pad_token_id,
                title=f"Predicting with {self.name}",
                stop=stop,
                # A few batches are done before a bar could be read.
                level="epoch" if len(functions) <= QUIET_BATCHES * self.batch_size else "batch",
            )


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
