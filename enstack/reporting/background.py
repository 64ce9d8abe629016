"""What stands around the figures of a report: choice, alerts, provenance; values, no files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from enstack.planning.ledger import Session

__all__ = ["Alert", "BaseModelOrigin", "Choice", "Provenance"]


@dataclass(frozen=True)
class Choice:
    """The model that a run chose, on which functions, and its rank by macro-F1 on test.

    chosen_on: "validation", or "test" where a run is older than that choice and its best row on
    test stands in: then its figures read high. score: by `measure` there, None where not recorded;
    candidates: how many were scored, 0 where not recorded.
    """

    key: str
    title: str
    chosen_on: str
    measure: str
    candidates: int
    functions: int | None
    score: float | None
    rank_on_test: int


AlertKind = Literal["made_up", "better_on_test", "collapsed", "contamination", "cut", "small_class"]


@dataclass(frozen=True)
class Alert:
    """What was found, and what to do; kind: a tag for programs, which no version changes."""

    kind: AlertKind
    text: str
    action: str


@dataclass(frozen=True)
class BaseModelOrigin:
    """The digests of a base model's weights and probabilities, and what it was trained in."""

    name: str
    weights: str | None
    probabilities: str | None
    precision: list[str]


@dataclass(frozen=True)
class Provenance:
    """finished: when test was measured, UTC; seeds: of the run; sessions: in their order."""

    finished: str | None
    seed: int | None
    data: str
    base_models: list[BaseModelOrigin]
    sessions: list[Session]
