"""What a run's figures can't tell, and why: by what its data name beside functions and labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["limits_of"]

# What nobody can measure with data that do not name it.
WITHOUT = {
    "project": "The data name no project of a function: nobody can measure with them whether a "
    "model works on projects that it has never seen.",
    "date": "The data name no date of a function: nobody can measure with them whether a model "
    "works on code that is written later.",
    "commit": "The data name no commit of a function: nobody can measure with them whether a "
    "model tells a flaw from its repair.",
}
WITHOUT_ANY = (
    "The data name no project, no date and no commit of a function, as Draper VDISC's do not: "
    "nobody can measure with them whether a model works on projects that it has never seen, on "
    "code that is written later, or whether it tells a flaw from its repair."
)


def limits_of(data: Mapping[str, Any], several_seeds: bool) -> list[str]:
    """Sentences, of data.json; older runs did not record what their data name."""
    groups = data.get("groups")
    return [
        *([] if groups is None else _groups(groups, data.get("division", {}).get("by") == "date")),
        _labels(data),
        "A function is read alone, without its callers and types.",
        "An interval is about other test functions of the same kind, and not about another "
        "training: "
        + (
            'how far seeds move the figures stands under "Under other seeds", apart from it.'
            if several_seeds
            else "one run with one seed does not show how far seeds move the figures."
        ),
    ]


def _groups(groups: Mapping[str, Any], by_date: bool) -> Iterator[str]:
    """groups: by kind, in how many test stands, and in how many of these train does too."""
    missing = [sentence for kind, sentence in WITHOUT.items() if kind not in groups]
    yield from [WITHOUT_ANY] if len(missing) == len(WITHOUT) else missing
    if "project" in groups:
        yield _projects(groups["project"]["test"], groups["project"]["train_too"])
    if "commit" in groups and groups["commit"]["train_too"]:
        yield (
            f"Of the {groups['commit']['test']:,} commits of test "
            f"{groups['commit']['train_too']:,} stand in train too: a flaw may stand there and its "
            "repair here, and figures may be too high or too low for that."
        )
    if "date" in groups and not by_date:
        yield (
            "The data name dates. Only where test was divided off by them do figures say how a "
            "model does on code that is written after what it has learned from."
        )


def _projects(of_test: int, train_too: int) -> str:
    if not train_too:
        return (
            "No project of test stands in train: figures are of projects that no model has learned "
            "from, and on those of train they would be higher."
        )
    return (
        f"Of the {of_test:,} projects of test {train_too:,} stand in train too: on projects that "
        "no model has learned from, figures may be lower."
    )


def _labels(data: Mapping[str, Any]) -> str:
    if data["flag_counts"]:
        return (
            "Where flags are Draper VDISC's own, static analysers gave them: a model that is right "
            "here agrees with those tools, and that is no proof of a flaw."
        )
    return (
        "Labels are taken as the data have them: where these are wrong, a model that is right is "
        "called wrong, and one that is wrong right."
    )
