"""What is printed: any text to any stream, and no stream that ends a run."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from enstack.config import RunConfig
from enstack.console import Output, printable, put, put_sentences, wrapped
from enstack.errors import CheckpointError
from enstack.progress.bars import Bar
from enstack.progress.say import say

ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b31m\r\x08‮\udcff"
# Texts with surrogates too, as the system gives names that are no UTF-8.
TEXTS = st.text(st.characters(exclude_categories=()))


@given(text=TEXTS, encoding=st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8", "koi8-r"]))
def test_any_text_goes_to_a_stream_of_any_encoding_without_control_characters(
    text: str, encoding: str
) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding)
    put(text, stream)
    shown = written.getvalue().decode(encoding)
    assert shown.endswith("\n")
    assert all(letter.isprintable() or letter in "\n\t" for letter in shown)
    known = [c for c in text if c.isprintable() and c.encode(encoding, "ignore")]
    assert len(shown) == len(text) + 1
    assert set(known) <= set(shown)


@given(text=TEXTS)
def test_what_other_libraries_print_moves_and_colours_lines_at_most(text: str) -> None:
    stream = io.StringIO()
    assert Output(stream).write(f"\r\x1b[A\x1b[1m{text}\x1b[0m") == len(text) + 12
    shown = stream.getvalue()
    assert shown.startswith("\r\x1b[A\x1b[1m")
    assert "\x07" not in shown
    assert "\x1b]" not in shown
    assert "\x9b" not in shown


def test_names_with_escape_sequences_are_shown_without_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say(f"▶ {ESCAPES}: fine-tuning")
    with Bar(1, f"Tokenizing for {ESCAPES}") as bar:
        bar.advance()
    error = str(CheckpointError(f"{ESCAPES} is\ndamaged"))
    out = capsys.readouterr().out
    assert out.startswith("▶ ?[2J?]0;title??31m????: fine-tuning\nTokenizing for ?[2J")
    assert error == "?[2J?]0;title??31m???? is\ndamaged"
    assert printable(out + error, keep="\n") == out + error


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


WORDS = st.lists(st.text(st.sampled_from("abcä日🔥-_/."), min_size=1, max_size=30), min_size=1)
MARKS = st.sampled_from(["", "   ", "--- ", "…  ", "   · ", "⚠️  ", "💾 ", "  - ", "enstack: "])


@given(mark=MARKS, words=WORDS, width=st.integers(20, 120))
def test_no_line_for_people_is_broken_inside_of_a_word(
    mark: str, words: list[str], width: int
) -> None:
    text = mark + " ".join(words)
    lines = wrapped(text, width).split("\n")
    assert " ".join(line.strip() for line in lines).split() == text.split()
    # Only a word that is longer than a line makes one longer.
    long = [line for line in lines if cell_len(line) > width]
    assert all(len(line.removeprefix(mark).split()) <= 1 for line in long)


def test_a_line_goes_on_under_its_text_on_a_terminal_and_stays_whole_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    told = "   · " + "words and words " * 4 + "x" * 50 + "\n{'json': 1}"
    terminal, file = Terminal(), io.StringIO()
    put_sentences(told, terminal)
    put_sentences(told, file)
    assert file.getvalue() == told + "\n"
    first, *others = terminal.getvalue().splitlines()
    assert first == "   · words and words words and words"
    assert others == ["     words and words words and words", "     " + "x" * 50, "{'json': 1}"]
    put(told, terminal)
    assert terminal.getvalue().endswith(told + "\n")
    for blank in (" " * 50, "-" + " " * 50):
        assert wrapped(blank, 40).strip() == blank.strip()


class Failing(io.StringIO):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize("number", [32, 5, 28, 9])
def test_a_stream_that_fails_raises_nothing_and_tells_of_what_somebody_waits_for(
    number: int,
) -> None:
    output = Output(Failing(OSError(number, os.strerror(number))))
    put("text", output)
    assert (output.failure is not None) == (number == 28)


def test_a_stream_that_is_none_or_closed_takes_what_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        say("text")
        with Bar(1, "Tokenizing") as bar:
            bar.advance()
        assert not Output(stream).isatty()


def shown_again(run: RunConfig, redirection: str) -> subprocess.CompletedProcess[str]:
    """`enstack run` of a finished run, in a shell that does something to its streams."""
    path = Path(run.run_dir).parent / "again.json"
    path.write_text(run.model_dump_json())
    command = f'exec "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", command, "sh", sys.executable, "-m", "enstack", "run", str(path)],
        capture_output=True,
        text=True,
        encoding="ascii",
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )


def test_a_run_is_shown_where_nothing_but_ascii_is_known(finished_run: RunConfig) -> None:
    done = shown_again(finished_run, "")
    assert (done.returncode, done.stderr) == (0, "")
    assert "? Configuration updated:" in done.stdout
    assert "Report: " in done.stdout


@pytest.mark.parametrize(
    ("redirection", "said"),
    [
        (">&- 2>&-", ""),
        ("> /dev/full", "enstack: Not all of the output was written: No space left on device.\n"),
        # Below, a command of less work is read by such a one.
        pytest.param("| head -c 1", "", marks=pytest.mark.slow),
    ],
)
def test_no_stream_ends_a_run(finished_run: RunConfig, redirection: str, said: str) -> None:
    done = shown_again(finished_run, redirection)
    assert (done.returncode, done.stderr) == (0, said)


@pytest.mark.parametrize(("redirection", "status"), [("> /dev/full", 4), ("| head -c 1", 0)])
def test_a_result_that_a_full_disk_takes_is_no_success_and_a_reader_may_leave(
    tmp_path: Path, redirection: str, status: int
) -> None:
    code = (
        "import sys; from enstack import api, cli; api.report = lambda run_dir: 'x' * 99999;"
        "sys.argv = ['enstack', 'report', 'x']; cli.main()"
    )
    script = f'{{ "$@"; echo $? > {tmp_path}/status; }} {redirection}'
    command = ["sh", "-c", script, "sh", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert int((tmp_path / "status").read_text()) == status
    assert ("No space left on device" in done.stderr) == (status == 4)
