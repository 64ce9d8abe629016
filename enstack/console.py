"""The one place where text goes to a console: made printable, through streams that never raise."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

# What our own libraries colour and move lines with: rich's styles, tqdm's step to the line above.
OWN_SEQUENCE = r"\x1b\[[0-9;]*[mA]"
CONTROL = re.compile(rf"({OWN_SEQUENCE})|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
MARK = re.compile(
    r"\s*[^\w\s(\[/~]+\s+(?=\S)"
)  # ahead of a line's text, such as a bullet or a sign
WORDS = re.compile(r"\s*\S*\d %\S*|\s*\S+")  # each with the blanks ahead of it
PERCENT = re.compile(r"(?<=\d) %")
# The reader has gone, or the terminal, or there never was one: nobody will ever read there.
GONE = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO)


def printable(text: str, keep: str = "") -> str:
    """A text with a question mark for each character that does not stand for itself on a console.

    Those are control characters, with which a name could rewrite what stands on a terminal, marks
    that turn the direction of writing, and the surrogates that stand for bytes in file names.
    keep: those that do no harm here, as a line end in a text of several lines.
    """
    return "".join(c if c.isprintable() or c in keep else "?" for c in text)


def unbroken(text: str) -> str:
    """A text for pages, in which no line ends between a number and its percent sign."""
    return PERCENT.sub("\u00a0%", text)


def wrapped_lines(text: str, width: int, first: str = "", later: str = "") -> list[str]:
    """The lines of a text for a console, of so many characters at most.

    first, later: what stands ahead of the first line, and of those after it.
    """
    lines = textwrap.wrap(unbroken(text), width, initial_indent=first, subsequent_indent=later)
    return [line.replace("\u00a0", " ") for line in lines]


def put(text: str, stream: TextIO | Output | None) -> None:
    """Write lines to standard output or standard error, whatever is in them, whatever these are."""
    output = Output.around(stream)
    output.write(printable(text, keep="\n\t") + "\n")
    # Into a file or a pipe Python would keep lines back until some thousands of bytes are full.
    output.flush()


def put_sentences(text: str, stream: TextIO | Output | None) -> None:
    """The same of text for people, which a terminal shall not break inside of words."""
    on_terminal = Output.around(stream).isatty()
    # First, for widths change: what stands for a control character takes a cell.
    shown = printable(text, keep="\n\t")
    put(wrapped(shown, shutil.get_terminal_size().columns) if on_terminal else shown, stream)


def wrapped(text: str, width: int) -> str:
    """A text whose lines a terminal of so many cells does not break inside of words.

    What goes on in a line below stands under the text of the first one, beside its mark.
    """
    return "\n".join(_wrapped_line(line, width) for line in text.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    from rich.cells import cell_len  # here, for this module is imported before much else

    if cell_len(line) <= width or not line.strip():
        return line
    # A mark with its blanks, such as "   · ", stays by its text; other lines go on further in.
    mark = found[0] if (found := MARK.match(line)) else ""
    beside = " " * (cell_len(mark) if mark else len(line) - len(line.lstrip()) + 3)
    first, *others = WORDS.findall(line[len(mark) :])
    lines = [mark + first]
    for word in others:
        # One cell less: terminals do not agree on how wide a sign is. Words stay whole, so that
        # paths and numbers can be copied.
        if cell_len(lines[-1] + word) < width:
            lines[-1] += word
        else:
            lines.append(beside + word.lstrip())
    return "\n".join(lines)


class Output:
    """A text stream that drops what can't be written, and shows `?` for letters it can't encode.

    stream: where it writes; None, as Python has it where a descriptor was closed when the process
    started, drops everything. failure: why text was lost that somebody may still wait for, such as
    a full disk; None where nothing was lost, or nobody reads there any more.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream
        self.failure: OSError | None = None

    @classmethod
    def around(cls, stream: TextIO | Output | None) -> Output:
        """An Output that writes there: the stream itself where it is one."""
        return stream if isinstance(stream, Output) else cls(stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    # tqdm asks whether a line and a bar go to the same stream, and either may be wrapped.
    def __eq__(self, other: object) -> bool:
        return self.stream is (other.stream if isinstance(other, Output) else other)

    def __hash__(self) -> int:
        return id(self.stream)

    @property
    def encoding(self) -> str:
        """The stream's encoding."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        try:
            return self.stream is not None and self.stream.isatty()
        except (OSError, ValueError):  # closed, by its descriptor or by its owner
            return False

    def write(self, text: str) -> int:
        """Write what can be written of a text; returns its length, as if all had been."""
        if (stream := self._open()) is not None:
            shown = CONTROL.sub(lambda found: found[1] or "?", text)
            with self._dropping():
                try:
                    stream.write(shown)
                except UnicodeEncodeError:
                    stream.write(shown.encode(self.encoding, "replace").decode(self.encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts one after another."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand on what was written."""
        if (stream := self._open()) is not None:
            with self._dropping():
                stream.flush()

    def finish(self) -> None:
        """Leave nothing behind that the interpreter would try to write when it ends."""
        self.flush()
        if self.failure is not None:
            self._point_nowhere()

    def _open(self) -> TextIO | None:
        return None if self.stream is None or self.stream.closed else self.stream

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in GONE:
                self._point_nowhere()
            else:
                self.failure = error

    def _point_nowhere(self) -> None:
        # What is buffered would fail again at every flush, the interpreter's last one too.
        with contextlib.suppress(OSError, AttributeError):  # a stream without a descriptor
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)


def take_standard_streams() -> None:
    """Let all that this process prints, by whichever library, go through an Output."""
    # The next file to be opened would get the number of one that was closed when we were started,
    # and what C code prints would go into that file.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which gets the lowest number that is free
    sys.stdout, sys.stderr = Output.around(sys.stdout), Output.around(sys.stderr)
