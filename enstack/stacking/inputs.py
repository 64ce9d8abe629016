"""What the stacking stage reads: base models' probabilities, joined to functions by id, guarded."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from enstack.config import RunConfig, base_model_names
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import SplitPlan
from enstack.metrics.label_task import LabelTask
from enstack.run_folder import RunFolder
from enstack.stacking.costs import Clocks, cost_of
from enstack.stacking.leak_guard import refuse_foreign_files, tell_unknown_origins
from enstack.stacking.meta_features import BaseModelProbabilities
from enstack.stacking.word_counts import WORDS, WordCounts, at_most, fit_word_counts

__all__ = ["StackingInputs"]

# Words are counted once for each fold: as many teach what there is to choose an alternative by.
MOST_FUNCTIONS_A_FOLD = 20_000


@dataclass(frozen=True)
class StackingInputs:
    """A run's data and its base models' probabilities, before anything is made of them.

    clocks: are told how long each model of the stage learns and predicts.
    """

    data: VulnerabilityData
    plan: SplitPlan
    config: RunConfig
    run: RunFolder
    clocks: Clocks = field(default_factory=Clocks, repr=False)

    @property
    def names(self) -> list[str]:
        """The base models by name, and after them those that were trained elsewhere."""
        return [*base_model_names(self.config.base_models), *self.run.added()]

    @property
    def suspects(self) -> list[str] | None:
        """The base models that being far better on test speaks against; None: all of them."""
        # Out of fold, models of fewer functions speak for the run's own on train: that these say
        # more of test is no leap.
        return self.run.added() if self.config.meta_features == "out_of_fold" else None

    @property
    def task(self) -> LabelTask:
        """What is asked of each function."""
        return self.data.task

    @property
    def meta_labels(self) -> np.ndarray:
        """The labels (n,), or (n, k), of the rows that combinations are fitted on."""
        labels: np.ndarray = self.data.splits[self.plan.meta_split].labels[self.plan.meta_rows]
        return labels

    def refuse_foreign_files(self) -> None:
        """Refuse files of probabilities that are of another run, before any of them is read."""
        folders = [self.run.stacked_model(name) for name in self.names]
        files = {
            (folder.path.name, split): folder.read_origin(split)
            for folder in folders
            for split in dict.fromkeys(("test", "validation", self.plan.meta_split))
        }
        refuse_foreign_files(folders, self.data.fingerprint, files)
        tell_unknown_origins(files)

    def on_meta_rows(self) -> list[BaseModelProbabilities]:
        """What base models say of the rows that combinations are fitted on."""
        return [
            self._probabilities(name, self.plan.meta_split, self.plan.meta_rows)
            for name in self.names
        ]

    def on_test(self) -> list[BaseModelProbabilities]:
        """What base models say of the test functions."""
        return [self._probabilities(name, "test") for name in self.names]

    def on_selection_rows(self) -> list[BaseModelProbabilities]:
        """What base models say of the validation functions that chose their epochs."""
        rows = self.plan.selection
        return [self._probabilities(name, "validation", rows) for name in self.names]

    @functools.cached_property
    def words(self) -> WordCounts:
        """Counted words, learned from train; once, for every split that they are asked of."""
        with self.clocks[WORDS].learns():
            return fit_word_counts(self.data.splits["train"], self.task)

    def words_on_meta_rows(self) -> np.ndarray:
        """What counted words say (n, k) of the rows that combinations are fitted on.

        Of train's rows, what is learned from the other folds says it, as with base models.
        """
        train, fold_of = self.data.splits["train"], self.plan.fold_of
        if fold_of is None:
            asked = self.data.splits[self.plan.meta_split].take(self.plan.meta_rows)
            return self.words.predict_proba([asked])
        said = np.zeros((len(train), self.task.n_classes), dtype=np.float32)
        for fold in range(int(fold_of.max()) + 1):
            inside, rest = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
            learned = at_most(train.take(rest), self.task, MOST_FUNCTIONS_A_FOLD)
            said[inside] = fit_word_counts(learned, self.task).predict_proba([train.take(inside)])
        of_rows: np.ndarray = said[self.plan.meta_rows]
        return of_rows

    def costs(self, probabilities: Mapping[str, np.ndarray]) -> dict[str, dict[str, float | None]]:
        """What each model costs, with the base models that it asks, as JSON values."""
        base = {name: self.run.stacked_model(name).cost() for name in self.names}
        return {
            key: dataclasses.asdict(cost_of(key, base, self.clocks[key], len(values)))
            for key, values in probabilities.items()
        }

    def _probabilities(
        self, name: str, split: str, rows: np.ndarray | None = None
    ) -> BaseModelProbabilities:
        """A base model's probabilities, joined to functions by id and never by position alone."""
        stored = self.run.stacked_model(name).read_probabilities(split, self.data.splits[split].ids)
        chosen = np.arange(len(stored.ids)) if rows is None else rows
        return BaseModelProbabilities(
            name, stored.ids[chosen], stored.probabilities[chosen], stored.seen[chosen]
        )
