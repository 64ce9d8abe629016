"""What is known of test without a code model: by counted words, by length, by groups alone."""

from __future__ import annotations

import numpy as np

from enstack.auditing.content import Scores, WordCounts
from enstack.auditing.groups import GROUP_TITLES, group_baselines
from enstack.data.vulnerability_data import VulnerabilityData
from enstack.duplicates.contamination import NEAR, split_of_each
from enstack.duplicates.near_duplicates import NearDuplicates
from enstack.metrics.label_task import LabelTask
from enstack.progress.say import say
from enstack.stacking.baselines import BASELINE_TITLES, plain_baselines

__all__ = ["TITLES", "without_a_code_model"]

# By the keys of an audit's baselines, as a table lists them.
TITLES = {
    **{name: BASELINE_TITLES[name] for name in ("tfidf_lr", "length")},
    **GROUP_TITLES,
    **{name: BASELINE_TITLES[name] for name in ("majority", "frequency")},
}


def without_a_code_model(
    data: VulnerabilityData, near: NearDuplicates
) -> tuple[dict[str, WordCounts], np.ndarray]:
    """The figures of every baseline on test, and where counted words are right (n_test,) bool.

    all: on every test function; apart: on those without a near-duplicate in train. Thresholds of
    flags are chosen on validation.
    """
    say("▶ Counting words: TF-IDF and logistic regression on the given splits")
    test, validation, task = data.splits["test"], data.splits["validation"], data.task
    # Classes need no thresholds: of a million functions, each split counts for a minute.
    asked = ["test", "validation"] if task.has_thresholds else ["test"]
    learned = plain_baselines(data.splits["train"], [data.splits[one] for one in asked], task)
    models = {**group_baselines(data, asked), **learned}
    # Behind the rows of test stand those of validation, where they were asked for.
    thresholds = {
        name: task.choose_thresholds(validation.labels, values[len(test) :])
        for name, values in models.items()
    }
    on_test = {name: values[: len(test)] for name, values in models.items()}
    parts = {"all": np.ones(len(test), dtype=np.bool_), "apart": _apart(data, near)}
    counts = {
        part: WordCounts(
            int(chosen.sum()),
            {
                name: _scores(test.labels[chosen], values[chosen], task, thresholds[name])
                for name, values in on_test.items()
            },
        )
        for part, chosen in parts.items()
    }
    decided = task.decide(on_test["tfidf_lr"], thresholds["tfidf_lr"])
    return counts, task.right(test.labels, decided)


def _apart(data: VulnerabilityData, near: NearDuplicates) -> np.ndarray:
    """Whether each test function (n_test,) bool has no near-duplicate in train."""
    # Copies of what they learnt from flatter word counts, so they are measured without them too.
    split_of, splits = split_of_each(data), list(data.splits)
    neighbours = near.neighbours(split_of, len(splits), NEAR)[split_of == splits.index("test")]
    apart: np.ndarray = neighbours[:, splits.index("train")] == 0
    return apart


def _scores(
    labels: np.ndarray,
    probabilities: np.ndarray,
    task: LabelTask,
    thresholds: np.ndarray | None,
) -> Scores | None:
    if not len(labels):
        return None
    figures = task.evaluate(labels, probabilities, thresholds)
    return Scores(figures["accuracy"], figures["macro_f1"], figures["auc"])
