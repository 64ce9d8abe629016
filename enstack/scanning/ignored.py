"""What a repository's .gitignore files leave out, as git reads them: the nearest one decides."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pathspec import GitIgnoreSpec

__all__ = ["Ignored"]


class Ignored:
    """The rules for what lies below a folder; those of the repository around it hold too.

    folder: absolute. Files that cannot be read have no rules.
    """

    def __init__(self, folder: Path) -> None:
        above = [folder, *folder.parents]
        depth = next((at for at, place in enumerate(above) if (place / ".git").exists()), 0)
        self.top = above[depth]
        self._spec = cache(_spec)

    def __call__(self, path: Path, *, is_folder: bool) -> bool:
        """Whether git would pass over a file or folder; folders above are asked about first."""
        for place in path.parents:
            # The exclude file has rules for the repository as a whole.
            names = [".gitignore", ".git/info/exclude"] if place == self.top else [".gitignore"]
            for name in names:
                relative = path.relative_to(place).as_posix() + "/" * is_folder
                answer = self._spec(place / name).check_file(relative).include
                if answer is not None:
                    return answer
            if place == self.top:
                break
        return False


def _spec(file: Path) -> GitIgnoreSpec:
    try:
        # A byte that is no UTF-8 matches the same byte in a name.
        lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        lines = []
    return GitIgnoreSpec.from_lines(lines)
