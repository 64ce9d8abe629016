"""Draper VDISC's stand-in at any size: its files, labels and lengths, with made-up functions.

Every figure is that of the real data set or was measured on it. Functions are drawn in blocks that
have a random stream of their own, so neither the number of rows written at once nor the size of
another split changes one of them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import h5py
import numpy as np

from enstack.data.formats import CWE_COLUMNS
from enstack.data.split_files import VDISC_NAMES
from enstack.errors import ConfigError
from enstack.progress.bars import Bar
from enstack.storage.files import replacing_file
from enstack.toy.templates import BLOCKS, COMMENTS, FILLERS
from enstack.toy.words import STATEMENTS, SYLLABLES, TYPES, WORDS

# Draper VDISC's own (osf.io/d45bw), as are the numbers of flags below.
SIZES = {"train": 1_019_471, "validation": 127_476, "test": 127_419}
VULNERABLE = 82_411  # functions with a flag
FLAG_TOTALS = (24_157, 47_660, 2_625, 12_094, 35_028)  # in the order of CWE_COLUMNS
SHARE_COMMENTED = 0.51
SHARE_SPACED = 0.003  # a space between the function's name and its bracket
SHARE_COPIED = 0.10  # functions that share most of their tokens with another
SHARE_CLOSE = 0.16  # of those: have another name and are else the same
COPIES = 6  # of a function that is copied, on average
REPLACED = 0.10  # share of statements in which the other copies differ
# Lexer tokens; with a byte-level BPE of 8,000 the median is some 318 tokens, a quarter below 174.
MEDIAN_LENGTH, SIGMA = 212, 0.89
SHORTEST, LONGEST = 13, 505
FRAME_LENGTH = 14  # of a function's head, braces and return
LONG_HEAD = 10  # more than that, at most
FLAW_LENGTH = 35
MOST_STATEMENTS = 96
BLOCK = 1024  # functions that share a random stream
WRITE_ROWS = 8192
POOL = 12_000  # statements to choose from, in each of two styles of indenting
ORIGINALS = 10  # number of a random stream, after those of the splits
LEXER = re.compile(r"\"[^\"]*\"|'[^']*'|\w+|[^\w\s]")

COMMON, RARE_PARTS = WORDS.split(), SYLLABLES.split()


def write_fake_vdisc(
    folder: Path, n_functions: int, *, seed: int = 42, write_rows: int = WRITE_ROWS
) -> Path:
    """Write the three VDISC_*.hdf5 files with n_functions in all, divided as the real ones are.

    The same seed gives the same functions. Memory holds write_rows functions at a time. Raises
    ConfigError for fewer functions than make three splits.
    """
    sizes = split_sizes(n_functions)
    folder.mkdir(parents=True, exist_ok=True)
    # Before any block: the pieces must not hang on how many functions follow.
    pieces = _pieces(Random(seed))
    for number, (split, size) in enumerate(sizes.items()):
        path = folder / f"{VDISC_NAMES[split]}.hdf5"
        blocks = (
            _block([seed, number, block], min(BLOCK, size - block * BLOCK), pieces, n_functions)
            for block in range(-(-size // BLOCK))
        )
        _write(path, size, itertools.chain.from_iterable(blocks), write_rows)
    return folder


def split_sizes(n_functions: int) -> dict[str, int]:
    """How many of so many functions each split gets."""
    whole = sum(SIZES.values())
    sizes = {split: round(n_functions * size / whole) for split, size in SIZES.items()}
    sizes["train"] = n_functions - sizes["validation"] - sizes["test"]  # rounding must lose none
    if min(sizes.values()) < 1:
        raise ConfigError(
            f"A fake VDISC must have a function in every split, {n_functions} are too few: "
            "ask for 10 or more."
        )
    return sizes


class Pieces(NamedTuple):
    """What functions are put together from; all drawn once for a seed.

    statements: per style of indenting, (POOL,) text; costs: (POOL,) their lexer tokens; unsafe: for
    each CWE some statements with its flaw.
    """

    names: list[str]
    parameters: list[str]
    comments: list[str]
    statements: tuple[np.ndarray, np.ndarray]
    costs: np.ndarray
    unsafe: list[list[str]]


class Draws(NamedTuple):
    """The random choices behind n functions, a row for each."""

    lengths: np.ndarray  # (n,) lexer tokens that are aimed for
    statements: np.ndarray  # (n, MOST_STATEMENTS) places in the pool
    chances: np.ndarray  # (n, 8) in 0..1, each for a choice of its own


Function = tuple[bytes, int]  # its text, and its flags as bits in the order of CWE_COLUMNS


def _block(stream: list[int], size: int, pieces: Pieces, n_functions: int) -> Iterator[Function]:
    """The functions of one block."""
    random = np.random.RandomState(stream)
    # A whole block however few are written: a row's own draws do not hang on the split's size.
    own = _draws(random, BLOCK)
    names = random.randint(0, len(pieces.names), BLOCK).tolist()
    copied = random.random_sample((BLOCK, 2))
    n_originals = max(1, round(n_functions * SHARE_COPIED / COPIES))
    for row in range(size):
        draws = Draws(*(part[row] for part in own))
        if copied[row, 0] < SHARE_COPIED:
            draws = _copy(draws, stream[0], int(copied[row, 1] * n_originals))
        flags = int(np.searchsorted(FLAG_CHANCES, draws.chances[0], side="right"))
        yield _text(draws, pieces.names[names[row]], flags, pieces).encode(), flags


def _draws(random: np.random.RandomState, n: int) -> Draws:
    lengths = np.exp(np.log(MEDIAN_LENGTH) + SIGMA * random.standard_normal(n))
    return Draws(
        np.clip(lengths, SHORTEST, LONGEST - LONG_HEAD),
        random.randint(0, POOL, (n, MOST_STATEMENTS)),
        random.random_sample((n, 8)),
    )


def _copy(own: Draws, seed: int, original: int) -> Draws:
    """An original with some of its statements replaced by the copy's own."""
    random = np.random.RandomState([seed, ORIGINALS, original])
    shared = Draws(*(part[0] for part in _draws(random, 1)))
    share = 0.0 if random.random_sample() < SHARE_CLOSE else REPLACED
    # Its own statement's number serves as the chance: no draw more for each place.
    replaced = own.statements % 997 < 997 * share
    # All else is the original's: parameters and comment are a quarter of a short function.
    return shared._replace(statements=np.where(replaced, own.statements, shared.statements))


def _text(draws: Draws, name: str, flags: int, pieces: Pieces) -> str:
    """A whole function from its name on: VDISC strips the return type."""
    _, commented, comment, flaw, place, spaced, parameters, style = draws.chances.tolist()
    costs = np.cumsum(pieces.costs[draws.statements])
    room = draws.lengths - FRAME_LENGTH - FLAW_LENGTH * flags.bit_count()
    count = max(1, np.count_nonzero(costs <= room))
    texts = pieces.statements[int(style * len(pieces.statements))]
    lines = texts[draws.statements[:count]].tolist()
    where = int(place * (len(lines) + 1))
    for bit, unsafe in enumerate(pieces.unsafe):
        if flags >> bit & 1:
            lines.insert(where, _pick(unsafe, flaw))
    if commented < SHARE_COMMENTED:
        lines.insert(where, _pick(pieces.comments, comment))
    space = " " if spaced < SHARE_SPACED else ""
    head = f"{name}{space}({_pick(pieces.parameters, parameters)})\n{{\n"
    return head + "\n".join([*lines, "    return 0;", "}"]) + "\n"


def _pick(texts: list[str], chance: float) -> str:
    return texts[int(chance * len(texts))]


def _flag_chances() -> np.ndarray:
    """Up to which number in 0..1 a function has which flags, (32,), from the totals of each flag.

    Flags are drawn independently and functions that get none are drawn again, which meets both
    the totals and 1.48 flags for each vulnerable function.
    """
    wanted = np.array(FLAG_TOTALS) / VULNERABLE
    bits = np.arange(32)[:, None] >> np.arange(5) & 1
    chances = wanted
    for _ in range(200):
        # A flag's chance is its share among those with any, times the chance of any.
        chances = wanted * (1 - np.prod(1 - chances))
    of_each = np.prod(np.where(bits, chances, 1 - chances), axis=1)
    of_each[0] = 0
    share = VULNERABLE / sum(SIZES.values())
    of_each *= share / of_each.sum()
    of_each[0] = 1 - share
    return np.cumsum(of_each)[:-1]


FLAG_CHANCES = _flag_chances()


def _pieces(random: Random) -> Pieces:
    statements = [_statement(random) for _ in range(POOL)]
    costs = np.array([len(LEXER.findall(statement)) for statement in statements])
    styles = tuple(
        np.array([_indented(text, tab) for text in statements], dtype=object)
        for tab in ("    ", "\t")
    )
    unsafe = [[_indented(_flaw(random, name), "    ") for _ in range(500)] for name in CWE_COLUMNS]
    comments = [f"    {random.choice(COMMENTS)}" for _ in range(50)]
    comments += [f"    /* {_words(random, random.randint(2, 9))} */" for _ in range(950)]
    return Pieces(
        [_name(random, 3) for _ in range(20_000)],
        [_parameters(random) for _ in range(5_000)],
        comments,
        (styles[0], styles[1]),
        costs,
        unsafe,
    )


def _indented(text: str, tab: str) -> str:
    return "\n".join(tab + line.replace("    ", tab) for line in text.split("\n"))


def _statement(random: Random) -> str:
    chosen = random.random()
    if chosen < 0.12:
        return random.choice(FILLERS).format(**_gaps(random))
    if chosen < 0.22:
        block = random.choice(BLOCKS[random.choice(CWE_COLUMNS)])
        return f"{block.declare}\n{block.safe}".format(**_gaps(random))
    return random.choice(STATEMENTS).format(**_gaps(random))


def _flaw(random: Random, name: str) -> str:
    block = random.choice(BLOCKS[name])
    return f"{block.declare}\n{block.unsafe}".format(**_gaps(random))


def _gaps(random: Random) -> dict[str, str]:
    """Names and numbers for the gaps of any piece."""
    size = random.choice((8, 16, 20, 32, 64, 100, 128, 255, 256, 512, 1024, 4096))
    names = {gap: _name(random, 2) for gap in "bpqijs"}
    return {
        **names,
        "f": _name(random, 3),
        "M": _name(random, 2).upper(),
        "t": random.choice(TYPES),
        "n": str(size),
        "k": str(size - random.randint(1, 7)),
        "m": str(size + random.randint(1, 99)),
        "h": hex(random.getrandbits(random.choice((4, 8, 16, 32)))),
    }


def _name(random: Random, most: int) -> str:
    stems = [_stem(random) for _ in range(random.randint(1, most))]
    if random.random() < 0.3:
        return stems[0] + "".join(stem.capitalize() for stem in stems[1:])
    return "_".join(stems)


def _stem(random: Random) -> str:
    """A common word, a made-up one that few functions know, or a word with a number."""
    chosen = random.random()
    if chosen < 0.5:
        return random.choice(COMMON)
    if chosen < 0.6:
        return f"{random.choice(COMMON)}{random.randint(0, 99)}"
    return "".join(random.choices(RARE_PARTS, k=random.randint(2, 3)))


def _words(random: Random, count: int) -> str:
    return " ".join(random.choices(COMMON, k=count))


def _parameters(random: Random) -> str:
    return ", ".join(
        f"{random.choice(TYPES)} {'*' * random.randint(0, 1)}{_name(random, 2)}"
        for _ in range(random.randint(1, 4))
    )


def _write(path: Path, size: int, functions: Iterator[Function], write_rows: int) -> None:
    """An HDF5 file in the shape of VDISC's, written beside and moved when it is whole."""
    flags = np.empty(size, dtype=np.uint8)  # these wait in memory: each flag is a column
    with (
        replacing_file(path) as beside,
        h5py.File(beside, "w", locking=False) as file,
        Bar(size, f"Writing {path.name}") as bar,
    ):
        sources = file.create_dataset("functionSource", (size,), dtype=h5py.string_dtype())
        for start in range(0, size, write_rows):
            rows = list(itertools.islice(functions, write_rows))
            sources[start : start + len(rows)] = np.array([text for text, _ in rows], dtype=object)
            flags[start : start + len(rows)] = [bits for _, bits in rows]
            bar.advance(len(rows))
        for bit, name in enumerate(CWE_COLUMNS):
            file[name] = (flags >> bit & 1).astype(bool)
