"""Tables in the csv of RFC 4180, which Python and pandas write; another dialect is named."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc

from enstack.data.opened import LONGEST_ROW, format_of, lines_of, open_text
from enstack.errors import DataError

__all__ = ["backslash_notes", "csv_header", "csv_rows"]

LONGEST_HEADER = 1 << 20  # characters that are looked at
SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars"}
JSON = re.compile(r'\s*[{\[]\s*["{\[]')
NAMES = re.compile(r"[\w\s\"'.-]+")
WRITE_ANEW = (
    'Write the table with commas, every function in double quotes, and a quote inside as "", as '
    "pandas and Python's csv do unless told otherwise; or as .jsonl or .parquet."
)
# A text that ' quotes in another dialect, its own quotes doubled.
SINGLE_QUOTED = re.compile(r"'(?:[^']|'')*''(?:[^']|'')*'")
# In the syntax of Arrow: a run of backslashes of odd length.
ODD_BACKSLASHES = r"(?:^|[^\\])(?:\\\\)*\\(?:$|[^\\])"
# What other writers do: how it is read, and the signs of it without which any table reads so.
DIALECTS: dict[str, tuple[dict[str, Any], str]] = {
    "has code in single quotes": ({"quotechar": "'"}, r"(?:^|,)'"),
    "escapes quotes or commas with a backslash": (
        {"doublequote": False, "escapechar": "\\"},
        # RFC 4180 writes the \" of C as \"".
        r'\\(?:"(?!")|,)',
    ),
}
LINES_AFTER = 1000  # of those after a fault, how many another dialect must read too
# Runs of backslashes, all of even length, from which on chance is ruled out: C's \n and \0 are odd.
MANY = 10


def csv_header(path: Path, known: Iterable[str]) -> list[str]:
    """The names of the columns; DataError where they are divided by another sign than a comma.

    known: names of which a table must have some.
    """
    with open_text(path) as file:
        first = file.readline(LONGEST_HEADER)
    if JSON.match(first):
        raise DataError(f"{path.name} must be csv, it holds JSON. Give it the ending .jsonl.")
    names_by = {sign: _bare_names(first, sign) for sign in (",", *SEPARATORS)}
    for sign, title in SEPARATORS.items():
        no_other = len(names_by[","]) == 1 and NAMES.fullmatch(first.replace(sign, ""))
        if no_other and sign in first.strip():
            _refuse(path, 1, f"separates its columns by {title}")
        if names_by[sign] & set(known) and not names_by[","] & set(known):
            _refuse(path, 1, f"separates its columns by {title}")
    names = next(_records(path), [])
    if names_by[","] & set(known) and not set(names) & set(known) and "'" in first:
        _refuse(path, 1, "has ' around its names")
    return names


def csv_rows(path: Path, columns: Sequence[str]) -> Iterator[list[str]]:
    """The fields of some columns, row by row; blank lines are none.

    Raises DataError for another dialect.
    """
    records = _records(path)
    names = next(records)
    places = [names.index(column) for column in columns]
    n_single_quoted = n_others = 0
    for fields in records:
        for field in fields:
            if "'" in field:
                quoted = SINGLE_QUOTED.fullmatch(field) is not None
                n_single_quoted, n_others = n_single_quoted + quoted, n_others + (not quoted)
        yield [fields[place] for place in places]
    # Of the whole file: one text may look like that by chance.
    if n_single_quoted and not n_others:
        _refuse(path, None, "has its functions in single quotes")


def backslash_notes(path: Path, batches: Iterable[pa.Array]) -> list[str]:
    """What is odd in the backslashes of a table's texts, short; DataError where that is sure.

    batches: large_string arrays. Where backslashes escape, each one of the text stands doubled.
    """
    if format_of(path) != "csv":
        return []
    n_runs = 0
    for batch in batches:
        if pc.any(pc.match_substring_regex(batch, ODD_BACKSLASHES)).as_py():
            return []
        n_runs += pc.sum(pc.count_substring_regex(batch, r"\\+")).as_py() or 0
    if n_runs >= MANY:
        _refuse(path, None, f"has each of its {n_runs:,} backslashes doubled, as escapes have")
    if not n_runs:
        return []
    return [
        f"⚠️  {path.name}: each backslash stands doubled, as escapes have it; read as they stand"
    ]


def _bare_names(header: str, sign: str) -> set[str]:
    return {name.strip("\"' \r\n") for name in header.split(sign)}


def _records(path: Path) -> Iterator[list[str]]:
    """The fields of each record; the first is the header."""
    csv.field_size_limit(LONGEST_ROW)  # of Python's own accord it is 128 KiB
    raw: list[str] = []
    width, ends, line = 0, set(), 1
    with open_text(path) as file:
        # strict: what follows a closing quote must be an error, not a part of the text.
        reader = csv.reader(_remembered(lines_of(path, file), raw), strict=True)
        while True:
            try:
                fields = next(reader, None)
            except csv.Error as error:
                _refuse(path, line, _why(path, line, "".join(raw), str(error)))
            if fields is None:
                return
            text = "".join(raw)
            # Of a blank line too: a CR may be all that a field holds.
            ends.add(_line_end(text))
            width = width or len(fields)
            _require_dialect(path, line, text, fields, width, ends)
            if fields:
                yield fields
            line += len(raw)
            raw.clear()


def _remembered(lines: Iterable[str], raw: list[str]) -> Iterator[str]:
    for line in lines:
        raw.append(line)
        yield line


def _line_end(record: str) -> str:
    return record[len(record.rstrip("\r\n")) :][-2:] if record[-1:] in ("\r", "\n") else ""


def _require_dialect(
    path: Path, line: int, record: str, fields: list[str], width: int, ends: set[str]
) -> None:
    # Blank lines are no records, as in every reader of csv.
    if fields and len(fields) != width:
        fault = f"has {len(fields)} fields there and {width} in the first"
        _refuse(path, line, _why(path, line, record, fault))
    # Only what is quoted may hold a quote; csv would take an unquoted one as it stands.
    for field in fields:
        if '"' in field and f'"{field.replace(chr(34), chr(34) * 2)}"' not in record:
            fault = "has a quote in a field that is not quoted"
            _refuse(path, line, _why(path, line, record, fault))
    # Any kind may end all rows; where it ends some, it may be a part of unquoted code.
    if len(ends - {""}) > 1:
        kinds = "a bare CR among" if "\r" in ends else "CRLF and LF among"
        fault = f"has {kinds} its line ends, outside of quotes"
        _refuse(path, line, _dialect(path, line, fault) or fault)


def _dialect(path: Path, line: int, fault: str) -> str | None:
    """The dialect in which a table reads well to behind a line, in words; None for no other."""
    for title, (dialect, sign) in DIALECTS.items():
        if _reads_in(path, line + LINES_AFTER, dialect, re.compile(sign)):
            return f"{title} ({fault})"
    return None


def _reads_in(path: Path, to_line: int, dialect: dict[str, Any], sign: re.Pattern[str]) -> bool:
    raw: list[str] = []
    widths: set[int] = set()
    ends, signed = {""}, False
    with open_text(path) as file, contextlib.suppress(csv.Error):
        # A quote that is never closed must not take the rest of a large file into memory.
        lines = islice(lines_of(path, file), to_line + LINES_AFTER)
        reader = csv.reader(_remembered(lines, raw), strict=True, **dialect)
        for fields in reader:
            text = "".join(raw)
            raw.clear()
            ends.add(_line_end(text))
            if fields:  # a blank line is no record
                widths.add(len(fields))
            signed = signed or sign.search(text) is not None
            if len(widths) > 1 or len(ends) > 2:
                return False
            if reader.line_num > to_line:
                break
        return signed
    return False


def _why(path: Path, line: int, record: str, fault: str) -> str:
    """What is at fault with a record, in words of its likely cause."""
    if not record.strip("\0\r\n"):
        return "holds NUL bytes, as a copy that failed leaves: copy it again"
    if "field larger" in fault:
        return f"has a field of more than {LONGEST_ROW >> 20} MiB: a quote before is not closed"
    if another := _dialect(path, line, fault):
        return another
    # RFC 4180 writes the \\" of C as \\"", and has it at the end of a field alone otherwise.
    if re.search(r'\\"[^"\r\n]|\\,', record):
        return f"escapes quotes or commas with a backslash ({fault})"
    if re.match(r"(?:[\w. -]*,)*'", record):
        return f"has code in single quotes ({fault})"
    if "unexpected end" in fault:
        return "ends inside quotes: it was cut short, or a quote before is not closed"
    if '"' not in record:
        return f"has code without quotes around it ({fault})"
    if re.search(r',\s+"', record):
        return f"has spaces between a comma and a quote, or code that is quoted wrongly ({fault})"
    return f"has code that is not quoted, or quoted wrongly ({fault})"


def _refuse(path: Path, line: int | None, fault: str) -> NoReturn:
    place = path.name if line is None else f"{path.name}, line {line:,}"
    raise DataError(f"{place}: the table {fault}, which can't be read for sure.\n{WRITE_ANEW}")
