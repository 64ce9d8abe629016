"""What a model must say of itself wherever it is shown: what it has learned, and its worth."""

from __future__ import annotations

from enstack.bundle.profile import ScanningProfile
from enstack.counting import counted
from enstack.rounding import percent

__all__ = ["honest_line", "unknowns"]


def honest_line(profile: ScanningProfile) -> str:
    """One line that must not be missed beside any finding."""
    return (
        f"Learned from {profile.source}; judges one function at a time, without its callers. "
        f"{_worth(profile)}"
    )


def _worth(profile: ScanningProfile) -> str:
    measured = profile.measured
    if measured is None:
        return "What its alerts are worth was not measured."
    if not measured.alerts:
        return f"At these thresholds nothing was alerted in {counted(measured.n, 'test function')}."
    share = percent(measured.right / measured.alerts)
    alerts = f"{measured.right:,} of {counted(measured.alerts, 'alert')}"
    if not profile.rule.tells_clean:
        return (
            f"It knows vulnerable functions alone and can't tell clean ones: on test {alerts} "
            f"named the right class ({share}), of functions that all had one."
        )
    prior = percent(measured.vulnerable / measured.n)
    return (
        f"At these thresholds {alerts} on test were right ({share}), where {prior} of the "
        "functions were vulnerable; where fewer are, fewer alerts are right."
    )


def unknowns(profile: ScanningProfile) -> list[str]:
    """What is not known of the model, a sentence each."""
    found = [f"{note[:1].upper()}{note[1:]}." for note in profile.notes]
    if profile.rule.tells_clean and profile.error_from is None and profile.n_validation:
        found.append(
            f"On {counted(profile.n_validation, 'validation function')} no score promises that "
            "nine of ten alerts are right: there are no errors, warnings at most."
        )
    if not profile.rule.tells_clean:
        found.append("The model gives every function a weakness: its findings are notes.")
    return found
