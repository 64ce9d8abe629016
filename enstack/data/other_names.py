"""Columns and files under the names that other data sets give them, and which to rename."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "FLAW_TEXTS",
    "USUAL_FLAW_LINES",
    "USUAL_GROUPS",
    "USUAL_LABELS",
    "USUAL_TEXTS",
    "USUAL_WEAKNESSES",
    "as_setting",
    "column_advice",
    "described",
    "holds_code",
    "is_fixed_code",
    "is_no_function",
    "nearest",
    "plain",
    "split_named",
]

FUNC, LABEL = ("func", "functionSource"), "label"
# As they stand in published data sets. What is code after a fix (func_after) is none of them.
USUAL_TEXTS = (
    *FUNC, "func_before", "processed_func", "function", "functions", "func_body", "code",
    "func_code", "function_code", "code_snippet", "raw_code", "source", "source_code",
)  # fmt: skip
USUAL_LABELS = (
    "label", "target", "vul", "is_vul", "vulnerable", "is_vulnerable", "is_vuln", "vuln", "has_vul",
    "bug", "class", "labels",
)  # fmt: skip
# What a function belongs to besides its class, as far as data sets say; the nearest name first.
USUAL_GROUPS = {
    "project": ("project", "repo", "repo_name", "project_name", "repository"),
    "commit": (
        "commit_id", "commit", "commit_hash", "commit_sha", "sha", "commit_link", "commit_url",
    ),
    "cve": ("cve", "cve_id", "cve_ids", "cve_list", "cves"),
    # Of data sets that were put together from others.
    "source": ("dataset", "source", "data_source", "source_dataset", "origin"),
    "date": ("date", "commit_date", "publish_date", "author_date", "committer_date"),
}  # fmt: skip
# Of two, the one that tells more of where the lines are.
USUAL_FLAW_LINES = (
    "flaw_line_index", "flaw_lines", "line_changes", "diff_func", "diff_line_info",
    "changed_lines", "flaw_line", "lines_before",
)  # fmt: skip
FLAW_TEXTS = "flaw_line"  # the lines themselves, beside their numbers
USUAL_WEAKNESSES = ("cwe", "cwe_id", "cwe_ids", "cwe_list", "cwes", "vul_type")
USUAL_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "validate", "valid", "val", "dev", "eval"),
    "test": ("test", "testing"),
}
ALIKE = 0.75  # a slip of the pen; func_name is further from func
FIXED = re.compile(r"after|fix|patched", re.IGNORECASE)
# Beside a function: what its fix changes, and what people say of it.
MESSAGES = re.compile(r"patch|diff|message|msg|desc|summary|title|comment|lines|url", re.IGNORECASE)
CODE = re.compile(r"\)\s*[{;]|;\s*\}")  # parentheses alone stand in names too


def plain(name: str) -> str:
    """A name without case, spaces and signs: cwe_119 and "CWE 119" are one."""
    return re.sub(r"[\W_]", "", name.lower())


def as_setting(key: str, value: str) -> str:
    """A setting as it is written for a run, and for an audit."""
    option = f"--{key.replace('_', '-')} {shlex.quote(value)}"
    return f"{key}={value} (enstack audit: {option})"


def split_named(word: str) -> str | None:
    """The split that a word means, as in "valid"; None for no split."""
    return next((split for split, names in USUAL_SPLITS.items() if word.lower() in names), None)


def nearest(column: str, names: Iterable[str]) -> str | None:
    """The name that a column likely has in a table; None where there is none."""
    by_plain = {plain(name): name for name in reversed(list(names))}
    texts = USUAL_TEXTS if column in FUNC else ()
    usual = [plain(name) for name in (column, *texts, *(USUAL_LABELS if column == LABEL else ()))]
    if found := next((name for name in usual if name in by_plain), None):
        return by_plain[found]
    # Of CWEs a number that is nearly the same is another weakness.
    if column not in (*FUNC, LABEL):
        return None
    alike = difflib.get_close_matches(plain(column), by_plain, n=1, cutoff=ALIKE)
    return by_plain[alike[0]] if alike else None


def column_advice(missing: Mapping[str, str | None], columns: Sequence[str], is_csv: bool) -> str:
    """What to do about missing columns, one sentence.

    missing: column -> its nearest in the table.
    """
    first = " ".join(columns)
    if is_csv and first.startswith("#"):
        return "The first line is a comment: remove it."
    if is_csv and holds_code(columns):
        return "The first line holds a function: write the names above it, as in func,label."
    renames = [f"{_shown(name)} to {column}" for column, name in missing.items() if name]
    if renames:
        return f"Rename {', '.join(renames)}."
    named = [_what(column) for column in missing if column in (*FUNC, LABEL)]
    fixed = next((name for name in columns if FIXED.search(name)), None)
    not_fixed = f"; {fixed} is code after its fix" if fixed and set(FUNC) & {*missing} else ""
    return f"Name {' and '.join(named)}{not_fixed}." if named else "Add them."


def described(missing: Mapping[str, str | None]) -> str:
    """The missing columns, each with its nearest."""
    return ", ".join(
        f"{column} (nearest: {_shown(name)})" if name else column
        for column, name in missing.items()
    )


def holds_code(names: Sequence[str]) -> bool:
    """Whether what stands for names is a function."""
    return CODE.search(" ".join(names)) is not None


def is_fixed_code(name: str) -> bool:
    """Whether a column's name says that it holds code after its fix."""
    return FIXED.search(name) is not None


def is_no_function(name: str) -> bool:
    """Whether a column's name says that it holds code after its fix, a patch or a message."""
    return is_fixed_code(name) or MESSAGES.search(name) is not None


def _what(column: str) -> str:
    return f"the column of {'labels' if column == LABEL else 'functions'} {column}"


def _shown(name: str) -> str:
    # Spaces around a name are seen in quotes alone.
    return repr(name) if name != name.strip() else name
