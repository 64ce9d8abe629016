"""Reads the functions of a git revision: of files that are not now as they were then."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from enstack.errors import ConfigError, reason_of
from enstack.scanning.findings import fingerprint
from enstack.scanning.functions import cut
from enstack.scanning.known import Revision
from enstack.scanning.paths import absolute
from enstack.scanning.source_text import STDIN, decoded
from enstack.scanning.walk import MOST_BYTES, SUFFIXES

__all__ = ["read_revision"]

# What a repository is told to run, or to fetch, is not done for somebody who looks at it.
SETTINGS = ("-c", "core.fsmonitor=false", "--no-optional-locks")
# Of a hook that git runs: relative to where git was, and about its repository alone.
OF_HOOKS = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"}
ENVIRONMENT = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
FILES = ("100644", "100755")  # as git has modes: no links, no submodules


class _Blob(NamedTuple):
    """A file of a revision: where it would be here, and its object's name."""

    path: Path
    name: str


def read_revision(name: str, paths: Sequence[Path]) -> Revision:
    """What git has of paths at a revision. paths: files and folders, in one repository.

    Raises ConfigError where there is no git, no repository, or no such revision.
    """
    named = [absolute(path) for path in paths if path != STDIN]
    folder = _folder_of(named[0]) if named else Path.cwd()
    top = absolute(folder / _git(folder, "rev-parse", "--show-cdup").strip())
    if outside := [path for path in named if not path.is_relative_to(top)]:
        raise ConfigError(
            f"--diff must find all that is scanned in one repository; {outside[0]} is not in {top}."
        )
    commit = _commit(top, name)
    same, changed = list[_Blob](), list[_Blob]()
    for blob in _blobs(top, commit, named):
        (same if _is_same(blob) else changed).append(blob)
    functions = [
        (path, fingerprint(function.text))
        for path, content in _contents(top, changed)
        for function in cut(decoded(content), path).functions
    ]
    return Revision(name, frozenset(blob.path for blob in same), functions)


def _folder_of(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _commit(top: Path, name: str) -> str:
    try:
        asked = ("--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return _git(top, "rev-parse", *asked).strip()
    except ConfigError as error:
        raise ConfigError(
            f"--diff must name a revision that git has in {top}, such as HEAD or main; found "
            f"{name!r:.80}. A shallow clone has few: fetch it first."
        ) from error


def _blobs(top: Path, commit: str, named: Sequence[Path]) -> Iterator[_Blob]:
    """The source files of a revision that were asked for."""
    listed = _git(top, "ls-tree", "-r", "-z", "--full-tree", commit)
    for line in listed.split("\0")[:-1]:
        about, _, relative = line.partition("\t")
        mode, _, name = about.split()
        path = top / relative
        wanted = path in named or (
            path.suffix.lower() in SUFFIXES and any(path.is_relative_to(one) for one in named)
        )
        if wanted and mode in FILES:
            yield _Blob(path, name)


def _is_same(blob: _Blob) -> bool:
    """Whether a file has the bytes that its object has; git's own way to name them."""
    try:
        if not blob.path.is_file() or blob.path.is_symlink():
            return False
        content = blob.path.read_bytes()
    except OSError:
        return False
    kind = hashlib.sha1 if len(blob.name) == 40 else hashlib.sha256
    return kind(b"blob %d\0" % len(content) + content).hexdigest() == blob.name


def _contents(top: Path, blobs: Sequence[_Blob]) -> Iterator[tuple[Path, bytes]]:
    """The bytes of objects, one at a time."""
    # From a file: a pipe that nobody empties meanwhile would stop both sides.
    with tempfile.TemporaryFile() as names:
        names.write("".join(f"{blob.name}\n" for blob in blobs).encode())
        names.seek(0)
        with subprocess.Popen(
            ["git", *SETTINGS, "-C", top, "cat-file", "--batch"],
            stdin=names,
            stdout=subprocess.PIPE,
            env=_environment(),
        ) as git:
            assert git.stdout is not None
            for blob in blobs:
                head = git.stdout.readline().split()
                if len(head) != 3:
                    raise ConfigError(f"git can't read {blob.name} of {blob.path}: fetch it first.")
                content = git.stdout.read(int(head[2]) + 1)[:-1]
                if len(content) <= MOST_BYTES:  # as of files: more is no code
                    yield blob.path, content


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", *SETTINGS, "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, env=_environment(), check=True)
    except FileNotFoundError as error:
        raise ConfigError("--diff needs git, and there is none: install it.") from error
    except subprocess.CalledProcessError as error:
        told = (os.fsdecode(error.stderr).strip().splitlines() or ["it failed"])[0].rstrip(".")
        raise ConfigError(
            f"--diff needs git in {folder}: {told}. Scan what lies in a git repository, or "
            "leave --diff out."
        ) from error
    except OSError as error:
        raise ConfigError(f"--diff needs git in {folder}: {reason_of(error)}.") from error
    return os.fsdecode(done.stdout)


def _environment() -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in OF_HOOKS}
    return {**kept, **ENVIRONMENT}
