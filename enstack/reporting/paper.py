"""The figures that the EnStack paper reports, beside those of a run on its subset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from enstack.data.subsets import PAPER_COUNTS
from enstack.reporting.leaderboard import LeaderboardRow

__all__ = ["PaperRow", "as_large_as_the_papers", "beside_the_paper"]

# Table III (arXiv 2411.16561): accuracy, F1, AUC in percent. Recall equals accuracy in each row
# there, so its averages are weighted ones.
BASE_MODELS = {
    "codebert": ("CodeBERT", 78.51, 77.98, 92.16),
    "graphcodebert": ("GraphCodeBERT", 80.05, 79.86, 93.36),
    "unixcoder": ("UniXcoder", 81.54, 81.49, 93.80),
}
STACKS = {
    "lr": ("G+U, logistic regression", 82.36, 82.21, 92.85),
    "rf": ("G+U, random forest", 82.28, 82.13, 92.45),
    "svm": ("G+U, SVM", 82.36, 82.28, 90.53),
    "xgboost": ("G+U, XGBoost", 80.67, 80.46, 92.28),
}


@dataclass(frozen=True)
class PaperRow:
    """A row of the paper's Table III and the run's row of the same kind, shares of 1.

    The paper's best stacks join GraphCodeBERT and UniXcoder; the run's join all its base models.
    """

    key: str
    title: str
    title_in_paper: str
    accuracy: float
    weighted_f1: float | None
    auc: float | None
    paper_accuracy: float
    paper_weighted_f1: float
    paper_auc: float


def beside_the_paper(
    rows: Sequence[LeaderboardRow], settings: dict[str, Any]
) -> list[PaperRow] | None:
    """The rows that the paper has too; None where the subset is not the paper's."""
    if settings.get("subset") != "paper":
        return None
    found = ((row, _in_paper(row)) for row in rows)
    return [_beside(row, reported) for row, reported in found if reported is not None]


def as_large_as_the_papers(functions: Mapping[str, int]) -> bool:
    """Whether splits have as many functions, by name, as those of the paper.

    Of data that lack some, the subset draws what there is.
    """
    return all(functions.get(split) == sum(n) for split, n in PAPER_COUNTS.items())


def _in_paper(row: LeaderboardRow) -> tuple[str, float, float, float] | None:
    if row.kind == "stack":
        return STACKS.get(row.name)
    # By the model's name, as "microsoft/unixcoder-base" gives it; graphcodebert holds codebert.
    plain = row.name.lower().removeprefix("microsoft").strip("-_/").removesuffix("-base")
    return BASE_MODELS.get(plain) if row.kind == "base" else None


def _beside(row: LeaderboardRow, reported: tuple[str, float, float, float]) -> PaperRow:
    title, accuracy, weighted_f1, auc = reported
    return PaperRow(
        key=row.key,
        title=row.title,
        title_in_paper=title,
        accuracy=row.accuracy,
        weighted_f1=row.weighted_f1,
        auc=row.auc,
        paper_accuracy=round(accuracy / 100, 4),
        paper_weighted_f1=round(weighted_f1 / 100, 4),
        paper_auc=round(auc / 100, 4),
    )
