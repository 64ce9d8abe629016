"""What a run is, in a paragraph for somebody who must decide: task, data, models, the choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from enstack.counting import counted, joined, some_of
from enstack.reporting.background import Choice
from enstack.reporting.leaderboard import LeaderboardRow
from enstack.reporting.paper import as_large_as_the_papers
from enstack.stacking.verdict_text import MEASURE_TITLES

__all__ = ["about"]

USES = {"train": "to learn from", "validation": "to choose on", "test": "to measure on"}
MODEL = "Each model reads one function at a time, without its surroundings, and says"
ALONE = "none of which a base model had learned from or been selected on"


def about(
    data: Mapping[str, Any],
    settings: Mapping[str, Any],
    rows: Sequence[LeaderboardRow],
    choice: Choice,
) -> str:
    """The paragraph.

    data, settings: of the run, as its readers see them; rows: the leaderboard.
    """
    sentences = [
        f"{MODEL} {_question(data['label_mode'], data['class_names'])}.",
        _source(data, settings),
        *_base_models(rows, data.get("added", {})),
        *_combined(data["holdout"], rows),
        *_chosen(choice),
    ]
    return " ".join(sentences)


def _question(label_mode: str, names: Sequence[str]) -> str:
    weaknesses = [name for name in names if name != "clean"]
    if label_mode == "binary":
        return "whether it is vulnerable"
    if label_mode == "multilabel":
        return f"of each of {len(names)} weaknesses whether it is there ({some_of(names)})"
    which = f"which of {len(weaknesses)} weaknesses it has ({some_of(weaknesses)})"
    if label_mode == "cwe_or_clean":
        return f"{which}, or that it is clean: {len(names)} classes"
    return f"{which}; functions without any are not among them"


def _source(data: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    functions = [
        f"{n:,} {USES[split]} ({split})" for split, n in data["functions"].items() if split in USES
    ]
    return f"The functions are {_named(data['functions'], settings)}: {joined(functions)}."


def _named(functions: Mapping[str, int], settings: Mapping[str, Any]) -> str:
    data_dir, subset = settings.get("data_dir"), settings.get("subset", "all")
    named = "the toy data of enstack" if data_dir == "toy" else f"the data in {data_dir}"
    if subset == "all":
        return named
    if subset == "paper":
        size = "as large as" if as_large_as_the_papers(functions) else "smaller than"
        return f"a subset, {size} the paper's, of {named}"
    return f"a subset, of {subset:,} in a split at most, of {named}"


def _base_models(rows: Sequence[LeaderboardRow], added: Mapping[str, Any]) -> Iterator[str]:
    names = sorted(row.name for row in rows if row.kind == "base")
    here = [name for name in names if name not in added]
    if here:
        yield f"{counted(len(here), 'base model')} learned here: {joined(here)}."
    if added:
        yield f"Trained elsewhere and added: {joined(sorted(added))}."


def _combined(holdout: Mapping[str, Any], rows: Sequence[LeaderboardRow]) -> Iterator[str]:
    if not {"vote", "stack"} & {row.kind for row in rows}:
        yield "Nothing is combined."
    elif holdout:
        fitted_on, folds = holdout["stacking"], holdout["folds"]
        how = (
            f"of which each was judged by models that had learned from "
            f"{counted(len(folds) - 1, 'other fold')}"
            if folds
            else ALONE
        )
        yield (
            f"Votes and stacks join what base models say; they were fitted on "
            f"{counted(fitted_on['functions'], 'function')} of {fitted_on['split']}, {how} "
            f"({'out of fold' if folds else 'holdout'})."
        )


def _chosen(choice: Choice) -> Iterator[str]:
    if choice.chosen_on == "test":
        return
    on = "functions" if choice.functions is None else counted(choice.functions, "function")
    among = counted(choice.candidates, "candidate")
    yield (
        f"Of {among}, {choice.title} was best by {MEASURE_TITLES[choice.measure]} on {on} that it "
        "had not learned from, and is the chosen model; test had no part in that."
    )
