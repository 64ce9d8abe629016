"""The rules of a scan's SARIF form: one for each class that can be alerted, with help and tags."""

from __future__ import annotations

from typing import Any

from scipy.stats import binom

from enstack.bundle.honesty import honest_line
from enstack.bundle.profile import ScanningProfile
from enstack.data.cwes import NUMBER
from enstack.metrics.abstention import CONFIDENCE
from enstack.scanning.remarks import class_worth, meaning

__all__ = ["DOCUMENTATION", "rules"]

DOCUMENTATION = "https://github.com/enstack/enstack/blob/main/docs/scanning.md"
# Of 10. A flaw's harm can't be told from a function; the middle does not block pull requests.
SEVERITY = "5.0"
PRECISIONS = (("very-high", 0.9), ("high", 0.75), ("medium", 0.5))
IGNORE = (
    "A comment in the function, or shortly ahead of it, marks a finding as known: "
    "// enstack: ignore[{}] reason"
)


def rules(profile: ScanningProfile) -> list[dict[str, Any]]:
    """Reporting descriptors, in the order of the model's classes."""
    asked = zip(profile.class_names, profile.rule.asked, strict=True)
    return [_rule(profile, name) for name, is_asked in asked if is_asked]


def _rule(profile: ScanningProfile, name: str) -> dict[str, Any]:
    number = NUMBER.fullmatch(name)
    title = f"{name}: {meaning(name)}" if number else meaning(name).capitalize()
    address = f"https://cwe.mitre.org/data/definitions/{number[1]}.html" if number else ""
    told = [
        f"Code like this was marked as {name} where the model has learned: {meaning(name)}.",
        class_worth(profile, name),
        honest_line(profile),
        f"{IGNORE.format(name)}.",
    ]
    tags = ["security", *([f"external/cwe/cwe-{int(number[1]):03}"] if number else [])]
    return {
        "id": name,
        "shortDescription": {"text": f"{title}."},
        "fullDescription": {"text": " ".join(told[:2])},
        "help": {"text": "\n\n".join(told), "markdown": _markdown(told, name, address)},
        "helpUri": address or DOCUMENTATION,
        "defaultConfiguration": {"level": "warning"},
        "properties": {
            "tags": tags,
            "precision": _precision(profile, name),
            "security-severity": SEVERITY,
        },
    }


def _markdown(told: list[str], name: str, address: str) -> str:
    ignore = IGNORE.format(name)
    shown = ignore.replace("// ", "`// ") + "`"
    links = f"[How to read a finding]({DOCUMENTATION})"
    if address:
        links = f"[{name}]({address}) · {links}"
    return "\n\n".join([*told[:-1], f"{shown}.", links])


def _precision(profile: ScanningProfile, name: str) -> str:
    """The best of PRECISIONS that alerts on test promise, as far as they are many enough."""
    # Where every test function is vulnerable, a share of right alerts says nothing of real code.
    if profile.measured is None or not profile.rule.tells_clean:
        return "low"
    alerts, right = profile.measured.of_class.get(name, (0, 0))
    for told, target in PRECISIONS:
        # How likely so many would be right if no more than `target` of all were.
        if alerts and binom.sf(right - 1, alerts, target) <= 1 - CONFIDENCE:
            return told
    return "low"
