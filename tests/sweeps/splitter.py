"""Text that nobody would write, cut into functions: no crash, no lost brace, no endless work.

python -m tests.sweeps.splitter [--minutes M] [--seed SEED] [--files FOLDER]

Known files, pieces of C and C++ and, where a folder is named, its files are cut apart, joined,
repeated, nested, and damaged in single characters and bytes. Prints a table of what was tried, and
each finding with its text; exits with 1 where there is any.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from enstack.scanning.functions import cut
from enstack.scanning.shape import shaped
from enstack.scanning.source_text import decoded
from enstack.scanning.walk import SUFFIXES
from tests.support.c_sources import BODIES, HEADS, NEIGHBOURS, PIECES, WRAPPERS, faults

MINUTES = 20.0
SECONDS_A_MEGABYTE = 60.0  # of a busy machine; what grows with the square takes thousands
SLOWEST_COUNTED = 5.0  # seconds: a short text may wait for other programs
Mutation = Callable[[str, random.Random], str]


def pieces(text: str, chance: random.Random) -> str:
    """Nothing but pieces."""
    return "".join(
        chance.choice(PIECES) + chance.choice(("", " ")) for _ in range(chance.randrange(60))
    )


def inserted(text: str, chance: random.Random) -> str:
    """Some pieces more."""
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(PIECES) + text[at:]
    return text


def removed(text: str, chance: random.Random) -> str:
    """Some stretches less."""
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + text[at + chance.choice((1, 1, 2, 10, 100)) :]
    return text


def truncated(text: str, chance: random.Random) -> str:
    """The first part alone, as of an unfinished download."""
    return text[: chance.randrange(len(text) + 1)]


def shuffled(text: str, chance: random.Random) -> str:
    """The lines in another order."""
    lines = text.splitlines(keepends=True)
    chance.shuffle(lines)
    return "".join(lines)


def repeated(text: str, chance: random.Random) -> str:
    """One piece very often: what takes time by the square shows it."""
    piece = chance.choice(PIECES) if chance.random() < 0.7 else text[: chance.randrange(1, 200)]
    again = (piece + chance.choice(("", " ", "\n"))) * chance.choice((1000, 20_000))
    return text[: chance.randrange(len(text) + 1)] + again[:400_000] + text[-200:]


def nested(text: str, chance: random.Random) -> str:
    """Something opened thousands of times, and closed as often, or not."""
    opened, closed = chance.choice(
        (
            ("{", "}"),
            ("(", ")"),
            ("[", "]"),
            ("<", ">"),
            ("namespace n {", "}"),
            ("struct s {", "};"),
            ("f() {", "}"),
            ("\n#if A\n", "\n#endif\n"),
            ("\n#if A\n{\n#else\n", "\n#endif\n"),
            ("int (*f", ")(int)"),
            ("template <class T> ", "f() {}"),
            ("A<", ">"),
        )
    )
    depth = chance.choice((10, 1000, 20_000))
    return opened * depth + text[:1000] + closed * chance.choice((0, depth, depth - 1, depth + 1))


def unchanged(text: str, chance: random.Random) -> str:
    """The text as it is."""
    return text


MUTATIONS: tuple[Mutation, ...] = (
    unchanged, pieces, inserted, inserted, removed, removed, truncated, shuffled, repeated, nested,
)  # fmt: skip


def known_text(chance: random.Random) -> str:
    """A few functions with their neighbours, as the tests have them."""
    text = ""
    for _ in range(chance.randrange(1, 4)):
        opening, closing, _ = chance.choice(WRAPPERS)
        inside = ""
        for number in range(chance.randrange(4)):
            before, head = chance.choice(HEADS)
            function = head.replace("@", f"f{number}") + chance.choice(BODIES)
            inside += "\n" + chance.choice(NEIGHBOURS)[0] + before + function
        text += "\n" + opening + inside + "\n" + closing
    return text


def as_bytes(text: str, chance: random.Random) -> bytes:
    """The text in some encoding, now and then with bytes that are none of it."""
    content = text.encode(chance.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-8-sig")))
    if chance.random() < 0.2:
        damaged = bytearray(content)
        for _ in range(chance.randrange(1, 8)):
            damaged.insert(chance.randrange(len(damaged) + 1), chance.randrange(256))
        content = bytes(damaged)
    return content


def findings(content: bytes) -> Iterator[str]:
    """What is wrong with the cut of a file's bytes."""
    source = decoded(content)
    begin = time.process_time()
    try:
        found = cut(source)
        for function in found.functions[:50]:
            for comments in (True, False):
                text, lines = shaped(function.text, comments=comments)
                if text.count("\n") + 1 != len(lines):
                    yield "shaped has another number of lines than of line numbers"
    except Exception:
        yield traceback.format_exc()
        return
    seconds = time.process_time() - begin
    if seconds > max(SLOWEST_COUNTED, SECONDS_A_MEGABYTE * len(content) / 1e6):
        yield f"{len(content):,} bytes took {seconds:.1f} s"
    yield from faults(source.text, found)


def shortest(content: bytes) -> bytes:
    """The finding's text with every stretch taken out without which it is still one."""
    size = len(content) // 2
    end = time.monotonic() + 30
    while size and time.monotonic() < end:
        for at in range(0, len(content), size):
            shorter = content[:at] + content[at + size :]
            if len(shorter) < len(content) and any(findings(shorter)):
                content = shorter
                break
        else:
            size //= 2
    return content


def sweep(minutes: float, seed: int, texts: list[str]) -> int:
    chance, tried, found = random.Random(seed), Counter[str](), Counter[str]()
    functions, end = 0, time.monotonic() + 60 * minutes
    print(f"seed {seed}; {len(texts):,} files beside the known ones")
    while time.monotonic() < end:
        mutation = chance.choice(MUTATIONS)
        text = chance.choice(texts) if texts and chance.random() < 0.5 else known_text(chance)
        content = as_bytes(mutation(text, chance), chance)
        tried[mutation.__name__] += 1
        functions += len(cut(decoded(content)).functions) if mutation is unchanged else 0
        if finding := next(findings(content), ""):
            found[mutation.__name__] += 1
            if found.total() <= 20:
                text_of_it = decoded(shortest(content)).text if len(content) < 50_000 else text[:0]
                print(
                    f"{mutation.__name__}: {finding.strip()[-600:]}\n    {text_of_it[:400]!r}",
                    flush=True,
                )
    print(f"{'':12}{'tried':>8}{'findings':>10}")
    for name in sorted(tried):
        print(f"{name:12}{tried[name]:8,}{found[name]:10}")
    print(f"{tried.total():,} texts, {functions:,} functions in unchanged ones")
    print(f"{found.total()} findings")
    return int(found.total() > 0)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.sweeps.splitter", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"{MINUTES:g} if left out")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--files", type=Path, help="a folder whose C and C++ files are damaged too")
    asked = parser.parse_args()
    paths = sorted(asked.files.rglob("*")) if asked.files else []
    files = [path for path in paths if path.suffix in SUFFIXES and path.is_file()]
    texts = [decoded(path.read_bytes()).text for path in files if path.stat().st_size < 100_000]
    return sweep(asked.minutes, asked.seed, texts)


if __name__ == "__main__":
    sys.exit(main())
