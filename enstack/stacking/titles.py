"""What the models of a leaderboard are called by people; a base model goes by its own name."""

from __future__ import annotations

from enstack.stacking.baselines import BASELINE_TITLES

__all__ = ["SHORT_TITLES", "TITLES", "title"]

# Whole names that a table of 80 columns has room for.
SHORT_TITLES = {
    "stack:lr": "LR",
    "vote:mean": "mean",
    "vote:greedy": "greedy vote",
    "baseline:tfidf_lr": "TF-IDF + LR",
    "baseline:frequency": "majority answer",
    "baseline:flawfinder": "Flawfinder",
}
TITLES = {
    "stack:lr": "logistic regression",
    "stack:svm": "SVM",
    "stack:rf": "random forest",
    "stack:xgboost": "XGBoost",
    "vote:mean": "mean of the base models",
    "vote:greedy": "greedy weighted vote",
    **{f"baseline:{name}": title for name, title in BASELINE_TITLES.items()},
}
FORMS = {"": "", "log": " on log-probabilities", "tempered": ", each tempered"}
SHORT_FORMS = {"": "", "log": " on logs", "tempered": ", tempered"}


def title(key: str, *, short: bool = False) -> str:
    """What people call a model, by its key: "logistic regression on log-probabilities of a and b".

    short: as a table of 80 columns has room for. A key of nothing that is known here, such as a
    base model's, is its own name.
    """
    kind, _, name = key.partition(":")
    way, _, members = name.partition("@")
    way, _, form = way.partition("~")
    plain = f"{kind}:{way}"
    # A base model may have a name like a stack's.
    if kind == "base" or plain not in TITLES or form not in FORMS:
        return name
    titles, forms = ({**TITLES, **SHORT_TITLES}, SHORT_FORMS) if short else (TITLES, FORMS)
    if not members:
        return titles[plain] + forms[form]
    among = members.replace("+", " + " if short else " and ")
    if kind == "vote":
        return f"mean of {among}{forms[form]}"
    return f"{titles[plain]}{forms[form]} of {among}"
