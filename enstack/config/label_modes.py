"""Which settings go with which label mode; asked again when `auto` has become one of them."""

from __future__ import annotations

LABEL_MODES = ("auto", "cwe", "cwe_or_clean", "cwe_all", "binary", "multilabel")


def label_mode_fault(label_mode: str, label_rule: str, subset: str | int) -> str:
    """The rule that a label mode breaks beside these settings; empty for none."""
    if subset == "paper" and label_mode not in ("cwe", "auto"):
        return (
            "subset=paper must go with label_mode=cwe (the paper has no clean class), found "
            f"label_mode={label_mode}"
        )
    if label_rule == "strict_single" and label_mode in ("binary", "multilabel"):
        return (
            "label_rule=strict_single must go with label_mode=cwe, cwe_or_clean or cwe_all, in "
            f"which several flags become one class, found label_mode={label_mode}"
        )
    return ""
