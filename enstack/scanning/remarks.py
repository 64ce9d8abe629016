"""What a reader of a finding must know of its function and its class, in words."""

from __future__ import annotations

from enstack.bundle.profile import ScanningProfile
from enstack.counting import counted
from enstack.data.weaknesses import MEANINGS
from enstack.rounding import decimal
from enstack.scanning.findings import ScannedFunction

__all__ = ["class_worth", "meaning", "remarks"]


def remarks(function: ScannedFunction) -> list[str]:
    """What makes a finding in a function more or less worth, a phrase each."""
    told = []
    if function.strange:
        told.append(f"unlike training functions: {'; '.join(function.strange)}")
    if function.near is not None:
        how = "a copy of" if function.near.similarity == 1 else "nearly"
        told.append(f"{how} training function {function.near.id}, whose label it may repeat")
    if function.window_lines is not None:
        first, last = function.window_lines
        told.append(
            f"too long for the model, read in {function.windows} windows; the worst is lines "
            f"{first}-{last}, the first scores {decimal(function.first_score, 2)}"
        )
    if function.unread:
        told.append("its end was not read: it has over a million characters")
    if function.sure is False:
        told.append("the model would rather not answer")
    return told


def meaning(class_name: str) -> str:
    """What a class that is alerted stands for, as a phrase."""
    if class_name == "vulnerable":
        return "a weakness of some kind"
    return MEANINGS.get(class_name, "a weakness of the CWE list")


def class_worth(profile: ScanningProfile, class_name: str) -> str:
    """What alerts of one class were worth on test, as a sentence."""
    measured = profile.measured
    alerts, right = (0, 0) if measured is None else measured.of_class.get(class_name, (0, 0))
    if not alerts:
        return f"No alert of {class_name} on test tells what one is worth."
    return f"On test {right:,} of {counted(alerts, 'alert')} of {class_name} had it."
