"""What each model of a leaderboard costs: the seconds that it learned and predicted for."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Clock", "Clocks", "Cost", "cost_of"]

BaseCosts = Mapping[str, Mapping[str, float | None]]  # of base models by name, as they record them


@dataclass(frozen=True)
class Cost:
    """What a model took, with all that it is made of; None where something was not recorded.

    training_minutes: until it could be asked; seconds_per_1000: for an answer to 1,000 functions.
    """

    training_minutes: float | None
    seconds_per_1000: float | None


@dataclass
class Clock:
    """The seconds that one model has learned and predicted for so far."""

    learning: float = 0.0
    predicting: float = 0.0

    @contextlib.contextmanager
    def learns(self) -> Iterator[None]:
        """Count the block's seconds as learning."""
        began = time.perf_counter()
        yield
        self.learning += time.perf_counter() - began

    @contextlib.contextmanager
    def predicts(self) -> Iterator[None]:
        """Count the block's seconds as predicting."""
        began = time.perf_counter()
        yield
        self.predicting += time.perf_counter() - began


class Clocks(defaultdict[str, Clock]):
    """A clock for every model, by "kind:name"."""

    def __init__(self) -> None:
        super().__init__(Clock)


def cost_of(key: str, base: BaseCosts, clock: Clock, n_asked: int) -> Cost:
    """What a model, "kind:name", costs: its own time and that of every base model that it asks.

    base: what each base model of the run recorded; n_asked: the functions that the clock predicted.
    What is fitted on out-of-fold probabilities needs the trainings of the folds too.
    """
    members = [base[name] for name in _members(key, list(base))]
    # Mean votes and single base models are fitted on nothing.
    parts = ["training_seconds", "fold_seconds"] if _is_fitted(key) else ["training_seconds"]
    learning = _sum([clock.learning, *(one.get(part) for one in members for part in parts)])
    own = 1000 * clock.predicting / max(n_asked, 1)
    return Cost(
        None if learning is None else learning / 60,
        _sum([own, *(one.get("seconds_per_1000") for one in members)]),
    )


def _members(key: str, names: Sequence[str]) -> list[str]:
    """The base models that a model asks: those named behind an @, or all of them."""
    kind, _, name = key.partition(":")
    if kind == "baseline":
        return []
    if kind == "base":
        return [name]
    _, among, chosen = name.partition("@")
    return [one for one in names if not among or f"+{one}+" in f"+{chosen}+"]


def _is_fitted(key: str) -> bool:
    return key.startswith("stack:") or key.startswith("vote:greedy")


def _sum(seconds: Iterable[float | None]) -> float | None:
    known = list(seconds)
    return None if None in known else sum(filter(None, known))
