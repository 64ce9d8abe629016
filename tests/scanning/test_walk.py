"""Which files are read: what paths name, what lies below them, and a reason for all others."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.errors import DataError
from enstack.scanning import ScannedFile, functions_of, scanned_files
from enstack.scanning.walk import SUFFIXES, SkippedFile, source_files

FUNCTION = "int f(void) { }\n"


def write(folder: Path, *names: str, text: str = FUNCTION) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def listed(folder: Path, *paths: Path) -> tuple[list[str], dict[str, str]]:
    found = functions_of(list(paths) or folder)
    skipped = {str(one.path.relative_to(folder)): one.reason for one in found.skipped}
    return [str(file.path.relative_to(folder)) for file in found.files], skipped


def test_source_files_below_a_folder_are_read_in_order_and_others_not(tmp_path: Path) -> None:
    names = [f"a{suffix}" for suffix in SUFFIXES] + ["b/c/d.c", "UPPER.CPP", "b/ü n.h"]
    write(tmp_path, *names, "a.py", "a.c.orig", "c", "b/Makefile", ".git/x.c")
    files, skipped = listed(tmp_path)
    assert sorted(files) == sorted(names)
    assert files == [*sorted(name for name in files if "/" not in name), "b/ü n.h", "b/c/d.c"]
    assert skipped == {}


def test_a_named_file_is_read_whatever_its_name_is_and_no_file_twice(tmp_path: Path) -> None:
    write(tmp_path, "a.inc", "b.c", ".gitignore", text=FUNCTION)
    (tmp_path / ".gitignore").write_text("*\n")
    files, _ = listed(tmp_path, tmp_path / "a.inc", tmp_path / "b.c", tmp_path, tmp_path / "b.c")
    assert files == ["a.inc", "b.c"]
    found = functions_of([tmp_path / "a.inc", str(tmp_path)])
    assert [one.path.name for one in found.functions] == ["a.inc"]
    assert found.leftovers == []


def test_links_are_not_followed_and_said(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    write(inside, "a.c", "sub/b.c")
    write(outside, "secret.c")
    (inside / "file.c").symlink_to(outside / "secret.c")
    (inside / "folder").symlink_to(outside)
    (inside / "loop").symlink_to(inside)
    (inside / "ring").symlink_to("ring")
    (inside / "nowhere.c").symlink_to("not there")
    (inside / "other.txt").symlink_to(outside / "secret.c")
    files, skipped = listed(inside)
    assert files == ["a.c", "sub/b.c"]
    assert skipped == dict.fromkeys(["file.c", "folder", "loop", "nowhere.c", "ring"], "a link")
    # What is named itself is what was meant.
    assert [file.path.name for file in functions_of(inside / "file.c").files] == ["file.c"]


def test_a_link_that_took_a_files_place_after_the_listing_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "in", "a.c", "b.c")
    write(tmp_path / "out", "secret.c")
    found = source_files([tmp_path / "in"])
    next(found)
    (tmp_path / "in" / "b.c").unlink()
    (tmp_path / "in" / "b.c").symlink_to(tmp_path / "out" / "secret.c")
    assert isinstance(next(found), SkippedFile)


def test_what_cannot_be_read_is_said_with_the_reason(tmp_path: Path) -> None:
    write(tmp_path, "a.c")
    os.mkfifo(tmp_path / "pipe.c")
    (tmp_path / "binary.c").write_bytes(b"\0\1\2\3" * 100)
    with (tmp_path / "large.c").open("wb") as file:
        file.truncate((64 << 20) + 1)
    files, skipped = listed(tmp_path)
    assert files == ["a.c"]
    assert skipped == {"binary.c": "no text", "large.c": "over 64 MiB", "pipe.c": "no file"}


def test_gitignore_that_is_a_link_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, "in/a.c", "in/sub/b.c")
    (tmp_path / "rules").write_text("*.c\n")
    (tmp_path / "in" / ".gitignore").symlink_to(tmp_path / "rules")
    os.mkfifo(tmp_path / "in" / "sub" / ".gitignore")
    assert listed(tmp_path / "in") == (["a.c", "sub/b.c"], {})


def test_a_path_that_is_not_there_is_refused_before_any_is_read(tmp_path: Path) -> None:
    write(tmp_path, "a.c")
    with pytest.raises(DataError, match=r"must be a file or folder, .*missing.* No such file"):
        next(scanned_files([tmp_path / "a.c", tmp_path / "missing"]))


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FUNCTION.encode())))
    (function,) = functions_of("-").functions
    assert (str(function.path), function.name, function.text) == ("-", "f", FUNCTION[4:-1])


def test_one_file_after_the_other_is_read(tmp_path: Path) -> None:
    write(tmp_path, "a.c", "b.c")
    files = scanned_files(tmp_path)
    assert isinstance(next(files), ScannedFile)
    (tmp_path / "b.c").write_text("int g(void) { }")
    last = next(files)
    assert isinstance(last, ScannedFile)
    assert [function.name for function in last.functions] == ["g"]


def test_an_ignored_folder_that_is_named_is_read(tmp_path: Path) -> None:
    write(tmp_path, "build/a.c", "build/gen/b.c")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("build/\n")
    (tmp_path / "build" / ".gitignore").write_text("gen\n")
    assert listed(tmp_path) == ([], {"build": "in .gitignore"})
    assert listed(tmp_path, tmp_path / "build")[0] == ["build/a.c"]


def test_patterns_that_match_nothing_or_only_what_lies_below_leave_the_rest(tmp_path: Path) -> None:
    write(tmp_path, "a.c", "b/c.c", "b/keep.c", "z.c", "1.c")
    rules = ["[z-a].c", "\\", "a.c\\", "[a.c", "b/**", "!b/keep.c", "[[:digit:]].c", "a.c\t"]
    (tmp_path / ".gitignore").write_text("\n".join(rules))
    files, skipped = listed(tmp_path)
    assert files == ["a.c", "b/keep.c"]
    assert skipped == dict.fromkeys(["1.c", "b/c.c", "z.c"], "in .gitignore")


def test_many_stars_in_gitignore_take_no_longer_than_few(tmp_path: Path) -> None:
    write(tmp_path, "a" * 200 + ".c")
    (tmp_path / ".gitignore").write_text("*a" * 60 + "b\n")
    assert len(listed(tmp_path)[0]) == 1


PATTERNS = st.sampled_from(
    ["*.c", "!a.c", "/a.c", "b/", "b", "!b/", "b/*", "**/a.c", "!*.h", "*", "!*/", "b/**/c.h", "#x",
     "", "\\!a.c", "[ab].c", "a.?", "!b/a.c", "/b/b", "*.h ",
     "b/**", "[c-a].c", "b\\", "[!a]*", "b*/*.c"]
)  # fmt: skip


@pytest.mark.skipif(shutil.which("git") is None, reason="git says what is right")
@given(st.dictionaries(st.sampled_from(["", "b/", "b/b/"]), st.lists(PATTERNS, max_size=4)))
def test_gitignore_means_what_git_takes_it_for(
    tmp_path_factory: pytest.TempPathFactory, rules: dict[str, list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("repository")
    names = ["a.c", "b.h", "!a.c", "b/a.c", "b/c.h", "b/b/a.c", "b/b/b.c", "b/d/c.h"]
    write(folder, *names)
    for place, patterns in rules.items():
        (folder / place / ".gitignore").write_text("\n".join(patterns))
    subprocess.run(["git", "init", "-q", folder], check=True)
    command = ["git", "-C", folder, "ls-files", "-z", "--others", "--exclude-standard"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    assert sorted(listed(folder)[0]) == sorted(set(names) & set(said))
    # From below the top the rules above hold too.
    inside = {name for name in said if name.startswith("b/")} & set(names)
    assert inside == set(listed(folder, folder / "b")[0]) or not inside
