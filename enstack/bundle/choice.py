"""Which of a run's models is meant, and what makes one answer of its base models' answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from enstack.config import RunConfig, base_model_names
from enstack.errors import ConfigError
from enstack.run_folder import RunFolder
from enstack.stacking.candidates import Combination
from enstack.stacking.stack import load_meta_classifier
from enstack.stacking.titles import title
from enstack.stacking.votes import MEAN_VOTE, Vote
from enstack.stacking.word_counts import WORDS, WordCounts, load_word_counts
from enstack.storage.files import read_json_object

OLDER = " Its word counts were not kept: the run is older than that; run it again to have them."


def chosen_model(run: RunFolder, config: RunConfig, name: str | None) -> str:
    """The key of the model that is asked for, or of the best by cross-validation."""
    known = loadable_models(run, config)
    if name is None:
        return best_model(run, known, base_model_names(config.base_models))
    called = {key: _names_of(key) for key in known}
    called.get(MEAN_VOTE, []).append("vote")  # there may be other votes
    asked = str(name).casefold()
    meant = [key for key, names in called.items() if asked in map(str.casefold, names)]
    # Two base models may differ by case alone.
    meant = [key for key in meant if name in called[key]] or meant
    if len(meant) != 1:
        found = f"found {name!r}" if not meant else f"{name!r} may be {' or '.join(meant)}"
        lacking = WORDS not in known and asked in map(str.casefold, _names_of(WORDS))
        older = OLDER if lacking else ""
        raise ConfigError(f"The model must be one of {', '.join(known)}; {found}.{older}")
    return meant[0]


def _names_of(key: str) -> list[str]:
    """By key, by name, or as the leaderboard calls it."""
    return [key, key.partition(":")[2], title(key)]


def best_model(run: RunFolder, known: Sequence[str], every: Sequence[str]) -> str:
    """The key of what did best by cross-validation, and has all its weights here."""
    selection = read_json_object(run.stacking.selection)
    # Never by the test figures: chosen by them, they would be a training result.
    best, added = str(selection["best"]), run.added()
    if not added:
        return best
    # What was trained elsewhere has no weights here, nor has what rests on it.
    trained = [key for key in known if key != WORDS]
    by_score = sorted(trained, key=lambda key: -selection["scores"].get(key, -math.inf))
    return next(
        key for key in by_score if not {*combination_of(run, key, every).base_models} & {*added}
    )


def loadable_models(run: RunFolder, config: RunConfig) -> list[str]:
    """The keys of all that the run keeps, the simplest first."""
    models = [f"base:{model}" for model in (*base_model_names(config.base_models), *run.added())]
    # The mean of one model is that model.
    votes = [MEAN_VOTE] if len(models) > 1 else []
    stacks = [f"stack:{stack}" for stack in config.meta_classifiers]
    # What was chosen may be another one.
    stacks += sorted(f"stack:{file.stem}" for file in run.stacking.path.glob("*.skops"))
    baselines = [WORDS] if run.stacking.word_counts.exists() else []
    return list(dict.fromkeys([*models, *votes, *_votes(run), *stacks, *baselines]))


def combination_of(run: RunFolder, key: str, every: Sequence[str]) -> Combination | WordCounts:
    """What makes one answer of base models' answers, by key, or counts words and asks none.

    every: the run's base models.
    """
    kind, _, name = key.partition(":")
    if key == WORDS:
        return load_word_counts(run.stacking.word_counts)
    if kind == "stack":
        return load_meta_classifier(run.stacking.meta_classifier(name))
    if kind == "base":
        return Vote({name: 1})
    # A run from before there were others has the plain mean alone, and no file of it.
    stored = _votes(run).get(key, {"picks": dict.fromkeys(every, 1), "temperatures": {}})
    return Vote(stored["picks"], stored["temperatures"])


def _votes(run: RunFolder) -> dict[str, Any]:
    return read_json_object(run.stacking.votes) if run.stacking.votes.exists() else {}


def refuse_added(run: RunFolder, key: str, names: Sequence[str], every: Sequence[str]) -> None:
    """Raise ConfigError where a model rests on one that was trained elsewhere."""
    added = [name for name in names if name in run.added()]
    if added:
        raise ConfigError(
            f"{key} rests on {', '.join(added)}, which was trained elsewhere: its probabilities of "
            f"the run's functions are here, its weights are not. Load {' or '.join(every)}."
        )
