"""StackingFolder: where a run keeps its stacks, and what every model says of the test split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StackingFolder:
    """The stacks, and what every model says of the test split."""

    path: Path

    def meta_classifier(self, name: str) -> Path:
        """The file of a fitted meta-classifier."""
        return self.path / f"{name}.skops"

    @property
    def word_counts(self) -> Path:
        """The file of the word counts that stacks are held against; older runs have none."""
        return self.path / "baselines" / "tfidf_lr.skops"

    @property
    def leaderboard(self) -> Path:
        """A row for every model, with its figures on the test split."""
        return self.path / "leaderboard.csv"

    @property
    def test_probabilities(self) -> Path:
        """Labels, and the probabilities of every row of the leaderboard, on the test split."""
        return self.path / "test_probabilities.npz"

    @property
    def thresholds(self) -> Path:
        """Of several flags, the thresholds of every row of the leaderboard."""
        return self.path / "thresholds.json"

    @property
    def calibration(self) -> Path:
        """Temperatures and guaranteed precisions of the models, chosen on validation."""
        return self.path / "calibration.json"

    @property
    def contamination(self) -> Path:
        """Which test functions have a near-duplicate in train, and which are alike among them."""
        return self.path / "near_train.npz"

    @property
    def pairs(self) -> Path:
        """The test functions that are a flaw and its fix; absent where none are known."""
        return self.path / "pairs.npz"

    @property
    def projects(self) -> Path:
        """The project of each test function; absent where they name few, or none."""
        return self.path / "projects.npz"

    @property
    def costs(self) -> Path:
        """What every row of the leaderboard costs."""
        return self.path / "costs.json"

    @property
    def verdict(self) -> Path:
        """What the one declared comparison shows on test; absent where nothing was combined."""
        return self.path / "verdict.json"

    @property
    def wrong_functions(self) -> Path:
        """The chosen model's surest mistakes on test, with their code."""
        return self.path / "wrong_functions.json"

    @property
    def selection(self) -> Path:
        """Every candidate's score on rows that it was not fitted on, and what was declared."""
        return self.path / "selection.json"

    @property
    def selection_decisions(self) -> Path:
        """What every candidate said of those rows."""
        return self.path / "selection_decisions.npz"

    @property
    def votes(self) -> Path:
        """How often each base model is counted in each vote, and at which temperature."""
        return self.path / "votes.json"
