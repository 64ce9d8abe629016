"""What a repository's .gitignore files leave out, as git reads them: the nearest one decides."""

from __future__ import annotations

import os
import stat
from functools import cache
from pathlib import Path

from enstack.scanning.git_patterns import GitPattern, git_patterns

__all__ = ["Ignored"]


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
                relative = path.relative_to(place).as_posix()
                answer = _answer(self._rules(place / name), relative, is_folder=is_folder)
                if answer is not None:
                    return answer
            if place == self.top:
                break
        return False


def _answer(rules: list[GitPattern], path: str, *, is_folder: bool) -> bool | None:
    """What the last pattern says that means the path itself, and not a folder above it."""
    name = os.fsencode(path)
    for pattern in reversed(rules):
        if pattern.means(name, is_folder=is_folder):
            return not pattern.includes
    return None


def _rules(file: Path) -> list[GitPattern]:
    try:
        # As git, which reads none through a link; a pipe would never end.
        is_file = stat.S_ISREG(file.lstat().st_mode)
        return git_patterns(file.read_bytes()) if is_file else []
    except OSError:
        return []
