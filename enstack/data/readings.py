"""Where a table has functions, labels, weaknesses and groups: the columns, and what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from enstack.data.formats import CWE_COLUMNS
from enstack.data.layouts import OneFunction
from enstack.data.split_files import WHOLE, flaw_line_file, split_files

__all__ = ["AS_FOUND", "AUTO", "OUR_OWN", "Asked", "Reading", "Source", "sources_of"]

AUTO = "auto"


@dataclass(frozen=True)
class Asked:
    """What a configuration says of the columns; "auto" where they are to be found."""

    layout: str = AUTO
    text_column: str = AUTO
    label_column: str = AUTO


AS_FOUND = Asked()


@dataclass(frozen=True)
class Source:
    """The files of one split, in order, and what was asked of their reading.

    flaw_file: what marks lines of its functions as flaws, if there is.
    """

    paths: tuple[Path, ...]
    asked: Asked = AS_FOUND
    split: str = WHOLE
    flaw_file: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All files that are read for the split."""
        return [*self.paths, *([self.flaw_file] if self.flaw_file else ())]


@dataclass(frozen=True)
class Reading:
    """Where the files of a split have what is read of them.

    name: of a layout; empty for a table's own columns. label: its column, or flags: those of the
    five CWEs in their order; neither where files or `functions` tell. cwes: the column of
    weaknesses. groups: project, commit, cve and date by their columns. both: a label column is
    passed over for the flags. flaw_lines: the column that marks lines; flaw_texts: one that has
    these lines beside their numbers.
    """

    name: str
    functions: tuple[OneFunction, ...]
    label: str = ""
    flags: tuple[str, ...] = ()
    cwes: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    labels_by_file: Mapping[str, int] = field(default_factory=dict)
    both: bool = False
    flaw_lines: str = ""
    flaw_texts: str = ""

    @property
    def needed(self) -> list[str]:
        """The columns without which no row can be read."""
        texts = [one.text for one in self.functions if not one.if_vulnerable]
        return [*texts, *([self.label] if self.label else ()), *self.flags]

    @property
    def helpful(self) -> list[str]:
        """The columns that a row may lack."""
        either = [
            name
            for one in self.functions
            if one.if_vulnerable
            for name in (one.text, one.if_vulnerable)
        ]
        beside = [name for name in (self.cwes, *self.groups.values()) if name]
        return [*either, *beside, *self.of_flaw_lines]

    @property
    def of_flaw_lines(self) -> list[str]:
        """The columns that mark lines."""
        return [name for name in (self.flaw_lines, self.flaw_texts) if name]

    @property
    def is_our_own(self) -> bool:
        """Whether the columns are those that enstack asks for: nothing was guessed."""
        texts = [one.text for one in self.functions]
        flags = not self.flags or self.flags == CWE_COLUMNS
        named = texts in (["func"], ["functionSource"]) and self.label in ("", "label")
        return not self.name and flags and named

    def in_words(self) -> str:
        """The name and the columns, as in "PrimeVul: func, target"."""
        columns = [name for one in self.functions for name in (one.text, one.if_vulnerable) if name]
        by_file = "the file's name" if self.labels_by_file else ""
        label = self.label or by_file or ("five flags" if self.flags else "")
        return f"{self.name or 'own columns'}: {', '.join([*columns, *([label] if label else [])])}"

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Reading:
        """A reading as `to_json` gave it."""
        functions = tuple(OneFunction(**one) for one in stored["functions"])
        return cls(**{**stored, "functions": functions, "flags": tuple(stored["flags"])})


OUR_OWN = Reading("", (OneFunction("func"),))


def sources_of(place: Path, asked: Asked = AS_FOUND) -> dict[str, Source]:
    """The files of each split of a folder, or of a table without splits; DataError for others."""
    flaw_file = flaw_line_file(place)
    return {
        split: Source(paths, asked, split, flaw_file) for split, paths in split_files(place).items()
    }
