"""What a flag is, and what the five weaknesses and the other classes are, in a line each."""

from __future__ import annotations

__all__ = ["FLAG", "MEANINGS"]

FLAG = (
    "A flag is a yes or no to one weakness. In Draper VDISC static analysers gave the flags: they "
    "are findings, not proven flaws."
)
# The first four by MITRE's Common Weakness Enumeration, the fifth by the data set's paper.
MEANINGS = {
    "CWE-119": "memory is read or written outside the bounds of a buffer",
    "CWE-120": "a buffer is copied without a check that it fits (the classic overflow)",
    "CWE-469": "a size is worked out by subtracting pointers",
    "CWE-476": "a pointer that may be NULL is followed",
    "CWE-other": "other findings, such as unchecked input or variables without a value",
    "clean": "no flag",
    "vulnerable": "any flag",
}
