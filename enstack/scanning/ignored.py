"""What a repository's .gitignore files leave out, as git reads them: the nearest one decides."""

from __future__ import annotations

import os
import re
import stat
from functools import cache
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec
from pathspec.pattern import RegexPattern

__all__ = ["Ignored"]


FOLDER = "ps_d"  # the group of pathspec's expressions in which a folder's slash is found


class Ignored:
    """The rules for what lies below a folder; those of the repository around it hold too.

    folder: absolute. Files that cannot be read have no rules.
    """

    def __init__(self, folder: Path) -> None:
        above = [folder, *folder.parents]
        # os.path answers no where nobody may look.
        found = (place for place in above if os.path.exists(place / ".git"))  # noqa: PTH110
        self.top = next(found, folder)
        self._rules = cache(_rules)

    def __call__(self, path: Path, *, is_folder: bool) -> bool:
        """Whether git would pass over a file or folder; folders above are asked about first."""
        for place in path.parents:
            # The exclude file has rules for the repository as a whole.
            names = [".gitignore", ".git/info/exclude"] if place == self.top else [".gitignore"]
            for name in names:
                relative = path.relative_to(place).as_posix() + "/" * is_folder
                answer = _answer(self._rules(place / name), relative)
                if answer is not None:
                    return answer
            if place == self.top:
                break
        return False


def _answer(rules: list[RegexPattern], path: str) -> bool | None:
    """What the last pattern says that means the path itself, and not a folder above it.

    pathspec alone would take `!folder/` for everything in the folder, as git does not.
    """
    name = PurePosixPath(path).name + "/" * path.endswith("/")
    for pattern in reversed(rules):
        asked = path if "/" in str(pattern.pattern).rstrip("/ ") else name
        found = pattern.match_file(asked)
        if found is not None and _means(found.match, asked):
            return bool(pattern.include)
    return None


def _means(match: re.Match[str], path: str) -> bool:
    """Whether a folder's slash, where an expression has found one, ends the path."""
    return FOLDER not in match.re.groupindex or match.end(FOLDER) in (-1, len(path))


def _rules(file: Path) -> list[RegexPattern]:
    try:
        # As git, which reads none through a link; a pipe would never end.
        is_file = stat.S_ISREG(file.lstat().st_mode)
        # A byte that is no UTF-8 matches the same byte in a name.
        text = file.read_text(encoding="utf-8", errors="surrogateescape") if is_file else ""
        lines = text.split("\n")
    except OSError:
        lines = []
    every = GitIgnoreSpec.from_lines(lines).patterns
    return [one for one in every if isinstance(one, RegexPattern) and one.include is not None]
