"""The functions that are found in folders of C and C++, against those of universal-ctags.

python -m tests.sweeps.ctags FOLDER... [--headers C|C++] [--show N]

A function is the same where name and line are. Prints, for each folder, time, recall and precision,
and each difference under what explains it; exits with 1 where recall or precision is under 98 %.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from enstack.scanning import Function, ScannedFile, scanned_files

ENOUGH = 0.98
OTHERWISE, INSIDE, ALONE = "named otherwise", "part of a function", "not seen by the other"
REASONS = {
    OTHERWISE: "ctags takes a macro's call before or behind the head for the function",
    INSIDE: "methods of classes within functions: their text is in the function's",
    ALONE: "read one by one",
}


class Tag(NamedTuple):
    """A function as ctags has it."""

    name: str
    line: int
    end: int


def tags_of(files: list[Path], headers: str) -> dict[Path, list[Tag]]:
    """The functions of files by ctags, without lambdas."""
    command = [
        "ctags", "--languages=C,C++", f"--map-{headers}=+.h", "--kinds-C=f", "--kinds-C++=f",
        "--output-format=json", "--fields=+ne", "-f", "-", "-L", "-",
    ]  # fmt: skip
    names = "\n".join(map(str, files))
    said = subprocess.run(
        command, input=names, capture_output=True, text=True, errors="replace", check=True
    )
    tags = defaultdict(list)
    for line in said.stdout.splitlines():
        tag = json.loads(line)
        if tag["_type"] == "tag" and not tag["name"].startswith("__anon"):
            name = "".join(tag["name"].split())
            tags[Path(tag["path"])].append(Tag(name, tag["line"], tag.get("end", tag["line"])))
    return tags


def missed_because(tag: Tag, ours: list[Function]) -> str:
    """Why a function of ctags is none of ours."""
    if any(one.start.line < tag.line <= one.end.line for one in ours):
        return INSIDE
    if any(tag.line <= one.start.line <= max(tag.end, tag.line + 3) for one in ours):
        return OTHERWISE
    return ALONE


def extra_because(function: Function, tags: list[Tag]) -> str:
    """Why a function of ours is none of ctags'."""
    covering = [tag for tag in tags if tag.line - 1 <= function.start.line <= tag.end]
    return OTHERWISE if covering else ALONE


def compare(folder: Path, headers: str, show: int) -> bool:
    """Print how far both agree on a folder; whether that is enough."""
    begin = time.perf_counter()
    files = [found for found in scanned_files(folder) if isinstance(found, ScannedFile)]
    seconds = time.perf_counter() - begin
    tags = tags_of([file.path for file in files], headers)
    missed: dict[str, list[str]] = defaultdict(list)
    extra: dict[str, list[str]] = defaultdict(list)
    n_ours = n_both = 0
    for file in files:
        ours = {("".join(one.name.split()), one.start.line): one for one in file.functions}
        theirs = {(tag.name, tag.line): tag for tag in tags[file.path]}
        n_ours += len(file.functions)
        n_both += len(ours.keys() & theirs.keys())
        for key in sorted(theirs.keys() - ours.keys(), key=lambda key: key[1]):
            missed[missed_because(theirs[key], file.functions)].append(
                f"{file.path}:{key[1]} {key[0]}"
            )
        for key in sorted(ours.keys() - theirs.keys(), key=lambda key: key[1]):
            extra[extra_because(ours[key], tags[file.path])].append(
                f"{file.path}:{key[1]} {key[0]}"
            )
    n_theirs = sum(len({*of_file}) for of_file in tags.values())
    recall, precision = n_both / max(1, n_theirs), n_both / max(1, n_ours)
    lines = sum(file.path.read_bytes().count(b"\n") for file in files)
    ways = Counter(one.way for file in files for one in file.functions)
    kinds = Counter(one.kind for file in files for one in file.leftovers)
    print(f"{folder}: {len(files):,} files, {lines:,} lines, {n_ours:,} functions, {seconds:.1f} s")
    beside = n_both / max(1, n_theirs - len(missed[INSIDE]))
    print(f"  ctags: {n_theirs:,}; recall {recall:.4f}, precision {precision:.4f}")
    print(f"  recall without functions in functions, which are no functions here: {beside:.4f}")
    print(f"  read by: {', '.join(f'{way} {n:,}' for way, n in ways.most_common())}")
    print(f"  no functions: {', '.join(f'{kind} {n:,}' for kind, n in kinds.most_common())}")
    for title, differences in (("ctags alone", missed), ("ours alone", extra)):
        for reason, names in sorted(differences.items()):
            print(f"  {title}, {reason} ({REASONS[reason]}): {len(names)}")
            print("".join(f"    {name}\n" for name in names[:show]), end="")
    return min(beside, precision) >= ENOUGH


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.sweeps.ctags", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--headers", choices=("C", "C++"), default="C++", help="what .h holds")
    parser.add_argument("--show", type=int, default=20, help="differences of a kind to print")
    asked = parser.parse_args()
    enough = [compare(folder, asked.headers, asked.show) for folder in asked.folders]
    return int(not all(enough))


if __name__ == "__main__":
    sys.exit(main())
