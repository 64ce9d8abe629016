"""What of an audit asks for something to be done: the threshold that was passed, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from enstack.auditing.content import Alert, Audit, Scores
from enstack.counting import counted
from enstack.duplicates.contamination import NEAR
from enstack.rounding import decimal, percent

__all__ = ["alerts_of"]

# From where on a figure is worth a line. Shares are of the split that is named.
NEAR_TRAIN = 0.01  # of test: more changes the third decimal of an accuracy
OTHER_LABEL = 0.05  # of train, at Jaccard >= .9
FEW_FUNCTIONS = 30  # of a class in test: the interval of its F1 is wider than .3
RARE = 0.02  # of train
SHIFTED = 2.0  # times as frequent in test as in train, or in train as in test
CUT = 0.1  # of train
LENGTH_TELLS = 0.1  # macro-F1 above the plainest answer
WORDS_TELL = 0.8  # macro-F1 of word counts
GROUPS_ORDER = 0.6  # AUC of a group alone; .5 says nothing


def alerts_of(audit: Audit) -> list[Alert]:
    """The alerts of an audit, the gravest first."""
    return [
        *_in_train(audit),
        *_shared_commits(audit),
        *_told_by_groups(audit),
        *_other_labels(audit),
        *_classes(audit),
        *_what_is_told_without_code(audit),
        *_cut(audit),
    ]


def _in_train(audit: Audit) -> Iterator[Alert]:
    levels, size = audit.duplicates.levels, audit.functions["test"]
    same, *_, near = levels
    if n_same := levels[same]["test"]["train"]:
        yield Alert(
            f"{counted(n_same, 'test function stands', 'test functions stand')} word for word in "
            "train (told from 1 on)",
            f"Take them out of train: drop_near_duplicates={NEAR}, or 1.0 for copies alone.",
        )
    n_near = levels[near]["test"]["train"]
    if n_near >= NEAR_TRAIN * size:
        yield Alert(
            f"{percent(n_near / size)} of test has a near-duplicate in train "
            f"({near}; told from {percent(NEAR_TRAIN, 0)} on)",
            "Read the results without these functions, which every report gives beside the others, "
            f"or take them out of train with drop_near_duplicates={NEAR}.",
        )


def _shared_commits(audit: Audit) -> Iterator[Alert]:
    commits = audit.groups.get("commit")
    if commits is None or not (n_shared := commits.shared["test"]["train"]):
        return
    share = percent(n_shared / audit.functions["test"])
    yield Alert(
        f"{share} of test shares a commit with train (told from 1 function on)",
        "One change touches them all, and a model that has seen some knows the others. "
        + _divide(audit, "commit"),
    )


def _told_by_groups(audit: Audit) -> Iterator[Alert]:
    baselines = audit.word_counts["all"].baselines
    plainest = _macro_f1(next(reversed(baselines.values())))
    for kind, telling in audit.telling.items():
        scores = baselines[kind]
        gap, auc = _macro_f1(scores) - plainest, (scores.auc if scores else None) or 0.0
        if gap < LENGTH_TELLS and auc < GROUPS_ORDER:
            continue
        named = [
            f"{one.name}: {one.functions:,} of {one.of:,} are {one.class_name}" for one in telling
        ]
        such = f" ({', '.join(named)})" if named else ""
        yield Alert(
            f"The {kind} alone reaches macro-F1 {decimal(_macro_f1(scores))}, {decimal(gap)} above "
            f"the plainest answer, and AUC {decimal(auc)} (told from {LENGTH_TELLS:g}, or AUC "
            f"{GROUPS_ORDER:g}, on)",
            f"A model that knows the {kind} by its words seems to know flaws{such}. "
            + _divide(audit, kind),
        )


def _divide(audit: Audit, kind: str) -> str:
    """What to do about groups that stand in several splits."""
    if kind not in ("project", "commit"):
        return f"Test on a {kind} that train lacks."
    first = "" if audit.division else "Write all functions into one file, and divide it: "
    return f"{first}{'U' if audit.division else 'u'}se split_by={kind}."


def _other_labels(audit: Audit) -> Iterator[Alert]:
    levels, size = audit.contradictions.levels, audit.functions["train"]
    same, near, *_ = levels
    if n_same := audit.contradictions.pairs[same]:
        yield Alert(
            f"{counted(n_same, 'pair')} of the same text with different labels (told from 1 on)",
            "One label of each is wrong, or the text was cut too short: look at the pairs below, "
            "and leave out both where nobody can tell.",
        )
    if levels[near]["train"] >= OTHER_LABEL * size:
        yield Alert(
            f"{percent(levels[near]['train'] / size)} of train has a near-duplicate with another "
            f"label ({near}; told from {percent(OTHER_LABEL, 0)} on)",
            "Look at the pairs below. A flaw and its repair are right, and hard; wrong labels are "
            "to be mended before anything is trained.",
        )


def _classes(audit: Audit) -> Iterator[Alert]:
    train, test = audit.counts["train"], audit.counts["test"]
    sizes = audit.functions
    few = [f"{name} ({test[name]:,})" for name in audit.class_names if test[name] < FEW_FUNCTIONS]
    if few:
        yield Alert(
            f"Few test functions: {', '.join(few)} (told below {FEW_FUNCTIONS})",
            "Do not read the F1 of such a class by itself, and macro-F1 with its interval alone.",
        )
    rare = [name for name in audit.class_names if 0 < train[name] < RARE * sizes["train"]]
    if rare:
        yield Alert(
            f"Rare in train: {', '.join(rare)} (told below {percent(RARE, 0)} of it)",
            "Try class_weights=balanced, and compare it by macro-F1 on validation.",
        )
    shifted = [name for name in audit.class_names if _is_shifted(audit, name)]
    if shifted:
        yield Alert(
            f"Other shares in test than in train: {', '.join(shifted)} (told from {SHIFTED:g} "
            "times on)",
            "Ask how the splits were made. Accuracy on such a test split is of another mixture.",
        )


def _is_shifted(audit: Audit, name: str) -> bool:
    train, test = (audit.counts[split][name] for split in ("train", "test"))
    # With fewer, chance alone shifts a share so far.
    if min(train, test) < FEW_FUNCTIONS:
        return False
    ratio = (train / audit.functions["train"]) / (test / audit.functions["test"])
    return not 1 / SHIFTED < ratio < SHIFTED


def _what_is_told_without_code(audit: Audit) -> Iterator[Alert]:
    baselines = audit.word_counts["all"].baselines
    plainest = _macro_f1(next(reversed(baselines.values())))
    length, words = _macro_f1(baselines["length"]), _macro_f1(baselines["tfidf_lr"])
    if length >= plainest + LENGTH_TELLS:
        yield Alert(
            f"Length alone reaches macro-F1 {decimal(length)}, {decimal(length - plainest)} above "
            f"the plainest answer (told from {LENGTH_TELLS:g} on)",
            "Compare the lengths of the classes below: a model may learn them. Look for what was "
            "left out of one class, such as one-liners, and test on functions of like length too.",
        )
    if words >= WORDS_TELL:
        yield Alert(
            f"Counted words reach macro-F1 {decimal(words)} (told from {WORDS_TELL:g} on)",
            "Only what a code model does beyond that is understanding: the report names the gap. "
            "Splits by project or by time ask for more.",
        )


def _macro_f1(scores: Scores | None) -> float:
    return scores.macro_f1 if scores else 0.0


def _cut(audit: Audit) -> Iterator[Alert]:
    size = audit.functions["train"]
    for of_unit in audit.lengths:
        n_cut = of_unit.splits["train"].truncated or 0
        if n_cut >= CUT * size:
            yield Alert(
                f"{percent(n_cut / size)} of train is cut at {of_unit.max_length} {of_unit.unit} "
                f"(told from {percent(CUT, 0)} on)",
                "Raise max_length as far as the model and the GPU allow: a flaw behind the cut is "
                "never seen.",
            )
