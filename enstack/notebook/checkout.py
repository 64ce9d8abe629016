"""The code's own git checkout: an update that loses nothing, and its commit in words."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
GIT_SECONDS = 120  # a remote silent for longer counts as away
SHOWN = 5  # commits of an update that are named


def code_commit(checkout: Path) -> str:
    """The commit of a checkout in a few words, and whether files were edited since."""
    commit = _git(checkout, "log", "-1", "--format=commit %h of %cs")
    if commit is None:
        return "not under git"
    # New files of the user's own do not change the code that runs.
    edited = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}, with local edits" if edited else commit


def pull(checkout: Path) -> str:
    """`git pull --ff-only`, told in one sentence; whatever the user changed is left as it is."""
    if _git(checkout, "rev-parse", "--git-dir") is None:
        return f"{checkout} is no git checkout: the code is used as it is."
    # So a `git stash pop`, which the advice below names, leaves files that both sides changed.
    if torn := _git(checkout, "diff", "--name-only", "--diff-filter=U"):
        return (
            f"{', '.join(torn.splitlines())} holds your edits and the published ones, with marks "
            "between them: choose by hand, or take the published ones with "
            f"`!git -C {checkout} checkout HEAD -- {' '.join(torn.splitlines())}` (yours stay in "
            "`git stash list`), then run this cell again."
        )
    if _git(checkout, "symbolic-ref", "--quiet", "HEAD") is None:
        return (
            "The code stands at a fixed commit (detached head) and was not updated: to follow "
            f"main again, run `!git -C {checkout} switch main`, then this cell."
        )
    if _git(checkout, "rev-parse", "@{upstream}") is None:
        return "The code's branch follows no remote branch: the code is used as it is."
    try:
        # Not `git pull`: between the two steps it is looked at what a merge would meet.
        _run_git(checkout, "fetch", "--quiet")
    except (OSError, subprocess.SubprocessError) as error:
        return f"No update could be fetched ({failure_reason(error)}): the code at hand is used."
    return _fast_forward(checkout)


def _fast_forward(checkout: Path) -> str:
    """Move to the fetched commit, where that loses nothing."""
    # git answers yes by its exit status alone: the output is empty then, and None means no.
    if _git(checkout, "merge-base", "--is-ancestor", "@{upstream}", "HEAD") is not None:
        return "The code is up to date."
    before = _git(checkout, "rev-parse", "--short", "HEAD")
    if _git(checkout, "merge-base", "--is-ancestor", "HEAD", "@{upstream}") is None:
        published = _git(checkout, "rev-parse", "--abbrev-ref", "@{upstream}")
        return (
            "The published history no longer contains this checkout's commit (it was rewritten, or "
            "you committed here), so nothing was updated: to keep yours as a branch and take the "
            f"published one, run `!git -C {checkout} branch mine-{before} && git -C {checkout} "
            f"reset --keep {published}`, then this cell."
        )
    try:
        # git itself refuses, and changes nothing, where the user's edits are in the way.
        _run_git(checkout, "merge", "--ff-only", "--quiet", "@{upstream}")
    except (OSError, subprocess.SubprocessError) as error:
        return (
            _kept_edits(checkout)
            or f"No update ({failure_reason(error)}): the code at hand is used."
        )
    after = _git(checkout, "rev-parse", "--short", "HEAD")
    return f"The code was updated ({before} → {after}).{_what_changed(checkout, f'{before}..HEAD')}"


def _what_changed(checkout: Path, commits: str) -> str:
    """The subjects of some commits, the newest first, as lines that follow."""
    subjects = (_git(checkout, "log", "--format=%s", commits) or "").splitlines()
    more = [f"and {len(subjects) - SHOWN} more"] if len(subjects) > SHOWN else []
    return "".join(f"\n   · {line}" for line in [*subjects[:SHOWN], *more])


def _kept_edits(checkout: Path) -> str | None:
    """What to do when edited or new files of the user's own are in the update's way."""
    changed = _git(checkout, "diff", "--name-only", "HEAD", "@{upstream}") or ""
    # all: else git names a new folder, and not the files in it.
    status = _git(checkout, "status", "--porcelain", "--untracked-files=all") or ""
    # A line is the state in one or two letters, then the path.
    mine = {line.split(maxsplit=1)[1] for line in status.splitlines()}
    both = sorted(mine & set(changed.splitlines()))
    if not both:
        return None
    return (
        f"Your edits in {', '.join(both)} are kept, and the code was not updated: to update, put "
        f"them aside with `!git -C {checkout} stash -u`, then run this cell again (`stash pop` "
        "brings them back)."
    )


def _run_git(checkout: Path, *arguments: str) -> str:
    # No prompt for a password: it would wait for ever in a notebook.
    # In English, for failure_reason looks for git's own words.
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    done = subprocess.run(
        ["git", "-C", str(checkout), *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=GIT_SECONDS,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.strip()


def _git(checkout: Path, *arguments: str) -> str | None:
    """A git command's output, or None where it fails."""
    try:
        # OSError too: there may be no git at all.
        return _run_git(checkout, *arguments)
    except (OSError, subprocess.SubprocessError):
        return None


def failure_reason(error: Exception) -> str:
    """The telling line of a failed command."""
    lines = str(getattr(error, "stderr", None) or error).strip().splitlines()
    # Around it git and pip print hints and progress; ERROR is pip's.
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "ERROR:"))]
    return (fatal or lines or [type(error).__name__])[0]
