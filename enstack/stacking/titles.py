"""What the models of a leaderboard are called by people; a base model goes by its own name."""

from __future__ import annotations

from enstack.stacking.baselines import BASELINE_TITLES

# Whole names that a table of 80 columns has room for.
SHORT_TITLES = {
    "stack:lr": "LR",
    "vote:mean": "mean",
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
    **{f"baseline:{name}": title for name, title in BASELINE_TITLES.items()},
}
