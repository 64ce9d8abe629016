"""One JSON object that is a whole table: its columns, rows under their names, or rows beside more.

pandas.to_json writes columns unless it is asked for rows; other programs wrap an array of rows.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from enstack.data.json_arrays import rows_of_one_array
from enstack.data.json_stream import Item, JsonStream, streamed
from enstack.data.other_names import USUAL_TEXTS, plain
from enstack.errors import DataError

__all__ = ["WholeTable", "whole_table"]

MOST_COLUMNS = 1000  # an object of more members has a row under each name
DECODER = json.JSONDecoder()
TEXTS = {plain(name) for name in USUAL_TEXTS}


class Member(NamedTuple):
    """What an object has under a name: its first character, where it starts, the items it has.

    of: the type of its first item, None for none; numbered: that item's name is a number.
    """

    name: str
    sign: str
    start: int
    n_items: int = 0
    of: type | None = None
    numbered: bool = False


class WholeTable(NamedTuple):
    """What of an object is the table: columns, one array of rows, or, with neither, all members."""

    path: Path
    columns: tuple[Member, ...] = ()
    array: Member | None = None

    def rows(self, decoder: json.JSONDecoder, known: Collection[str]) -> Iterator[Item]:
        """The rows in order; of columns, their values under those names that are known.

        Memory holds a row and a chunk of each column. Raises DataError for what is no table.
        """
        if self.columns:
            return _of_columns(self.path, [one for one in self.columns if one.name in known])
        return _of_array(self.path, self.array, decoder) if self.array else self._named(decoder)

    def _named(self, decoder: json.JSONDecoder) -> Iterator[Item]:
        with streamed(self.path) as text:
            for row in text.items(decoder):
                if not isinstance(row.value, dict):
                    text.refuse(
                        f"what stands under {row.name[:40]!r} must be one object, found "
                        f"{row.value!r:.40}"
                    )
                text.n_rows += 1
                yield row


def whole_table(path: Path) -> WholeTable | None:
    """The table that a file is as one object; None where it has an object a line, or is none.

    Raises DataError for an object of several tables, and one that is cut short.
    """
    state = path.stat()
    return _whole_table(path, state.st_size, state.st_mtime_ns)


# A large file is gone through to its end to know what it has: once, and not at each reading.
@functools.lru_cache(maxsize=4)
def _whole_table(path: Path, size: int, changed: int) -> WholeTable | None:
    members: list[Member] = []
    with streamed(path) as text:
        if text.sign() != "{":
            return None
        try:
            for member in _members(text):
                if member.sign not in "[{" and plain(member.name) in TEXTS:
                    return None  # a row: its text stands in it as it is
                members.append(member)
                if len(members) > MOST_COLUMNS and all(one.sign == "{" for one in members):
                    return WholeTable(path)
            # More after its end: an object a line.
            return None if text.sign() else _table_of(path, members)
        except DataError:
            if text.n_rows and all(one.sign in "[{" for one in members):
                raise
            return None  # whoever reads its lines tells the line


def _members(text: JsonStream) -> Iterator[Member]:
    text.expect("{")
    while text.sign() != "}":
        name, sign, start = text.name(DECODER), text.sign(), text.place
        if sign in ("[", "{"):
            yield _counted(text, Member(name, sign, start))
        else:
            text.item(DECODER)
            yield Member(name, sign, start)
        if text.sign() != "}":
            text.expect(",")
    text.expect("}")


def _counted(text: JsonStream, member: Member) -> Member:
    """The same after its items, which are not kept."""
    text.n_rows = 0
    for item in text.items(DECODER):
        if not text.n_rows:
            member = member._replace(of=type(item.value), numbered=item.name.isdecimal())
        text.n_rows += 1
    return member._replace(n_items=text.n_rows)


def _table_of(path: Path, members: Sequence[Member]) -> WholeTable | None:
    arrays = [one for one in members if one.sign == "["]
    of_rows = [one for one in arrays if one.of is dict]
    if {"columns", "data"} <= {one.name for one in arrays if one.of in (str, list)}:
        raise DataError(
            f"{path.name} must hold one object for each function, it holds names of columns beside "
            "rows without names, as pandas.to_json(orient='split') writes them. Write it with "
            "orient='records', lines=True."
        )
    if len(arrays) > max(1, len(of_rows)) and _are_columns(arrays, members):
        return WholeTable(path, _of_one_length(path, arrays))
    if len(of_rows) > 1:
        raise DataError(
            f"{path.name} must hold one table, it holds one object with rows under "
            f"{', '.join(repr(one.name[:40]) for one in of_rows[:6])}. Write them as one array; "
            "or, where these are its splits, each to a file of its own, as in train.json."
        )
    if of_rows:
        return WholeTable(path, array=of_rows[0])
    if members and all(one.sign == "{" for one in members):
        by_number = all(one.numbered for one in members) and not members[0].name.isdecimal()
        return WholeTable(path, _of_one_length(path, members) if by_number else ())
    return None


def _are_columns(arrays: Sequence[Member], members: Sequence[Member]) -> bool:
    return len(arrays) == len(members) or any(plain(one.name) in TEXTS for one in arrays)


def _of_one_length(path: Path, columns: Sequence[Member]) -> tuple[Member, ...]:
    names = [one.name for one in columns]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{path.name} must have each column once, {twice[0]} stands there twice.")
    shortest, longest = (find(columns, key=lambda one: one.n_items) for find in (min, max))
    if shortest.n_items != longest.n_items:
        raise DataError(
            f"{path.name} is one object of columns, which must be of one length, found "
            f"{longest.n_items:,} values of {longest.name[:40]} and {shortest.n_items:,} of "
            f"{shortest.name[:40]}. Write it again, or write one object a line."
        )
    return tuple(columns)


def _of_array(path: Path, array: Member, decoder: json.JSONDecoder) -> Iterator[Item]:
    with streamed(path, array.start) as text:
        yield from rows_of_one_array(text, decoder)


def _of_columns(path: Path, columns: Sequence[Member]) -> Iterator[Item]:
    """The values of columns side by side: the file is open once for each."""
    names = [one.name for one in columns]
    with ExitStack() as files:
        texts = [files.enter_context(streamed(path, one.start)) for one in columns]
        items = [text.items(DECODER) for text in texts]
        for n_row, values in enumerate(zip(*items, strict=True)):
            if len({value.name for value in values}) > 1:
                raise DataError(
                    f"{path.name} is one object of columns, which must name the same rows in one "
                    f"order, row {n_row} is {_listed(values)}. Write one object a line."
                )
            row = dict(zip(names, (value.value for value in values), strict=True))
            # A half pair is an escape unless there is a byte that is no UTF-8 in the row.
            yield Item("", row, any(v.escapes_alone for v in values), sum(v.size for v in values))


def _listed(values: Sequence[Any]) -> str:
    return " and ".join(sorted({repr(value.name[:40]) for value in values})[:2])
