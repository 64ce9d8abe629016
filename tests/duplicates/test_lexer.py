"""The lexer, held against a slow automaton that reads one character after the other."""

from __future__ import annotations

import itertools
import random
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enstack.duplicates.lexer import comment_kept_from, lexer_tokens
from enstack.duplicates.near_duplicates import token_grams
from tests.support.similar_texts import SOURCES

OPERATORS = (
    "...", "<<=", ">>=", "->", "::", "++", "--", "&&", "||", "<<", ">>",
    "-=", "+=", "*=", "/=", "%=", "&=", "|=", "^=", "==", "!=", "<=", ">=",
)  # fmt: skip


def line_end(text: str, at: int) -> int:
    """How many characters end a line here; 0 where none does."""
    if text.startswith("\r\n", at):
        return 2
    return int(text[at : at + 1] in ("\n", "\r") and at < len(text))


def comment_end(text: str, at: int) -> int:
    """Where a // comment that begins here is over."""
    while at < len(text) and not line_end(text, at):
        if text[at] == "\\" and line_end(text, at + 1):
            at += line_end(text, at + 1)
        at += 1
    return at


def literal_end(text: str, at: int) -> int:
    """Where a "..." or '...' that begins here is over: at its quote, or before its line's end."""
    quote, at = text[at], at + 1
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            at += 1 + max(1, line_end(text, at + 1))
        elif text[at] == quote:
            return at + 1
        elif line_end(text, at) or text[at] == "\\":
            return at
        else:
            at += 1
    return at


def raw_string_end(text: str, at: int) -> int | None:
    """Where a raw string that begins here is over; None where none begins or it never ends."""
    for prefix in ("R", "u8R", "uR", "UR", "LR"):
        if text.startswith(prefix + '"', at):
            start = at + len(prefix) + 1
            opened = text.find("(", start, start + 17)
            delimiter = text[start:opened] if opened >= 0 else " "
            if not any(sign.isspace() or sign in ')\\"' for sign in delimiter):
                closed = text.find(f'){delimiter}"', opened + 1)
                return closed + len(delimiter) + 2 if closed >= 0 else None
    return None


def word_end(text: str, at: int) -> int:
    """Where a name or number that begins here is over; a number may hold ' between digits."""
    number = text[at] in "0123456789"
    while at < len(text):
        separator = number and text[at] == "'" and re.match(r"\w", text[at + 1 : at + 2])
        if not (re.match(r"\w", text[at]) or separator):
            break
        at += 1
    return at


def slow_tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while at < len(text):
        end, kept = at + 1, True
        if text[at].isspace():
            kept = False
        elif text[at] == "\\" and line_end(text, at + 1):
            end, kept = at + 1 + line_end(text, at + 1), False
        elif text.startswith("//", at):
            end, kept = comment_end(text, at), False
        elif text.startswith("/*", at):
            closed = text.find("*/", at + 2)
            end, kept = closed + 2 if closed >= 0 else len(text), False
        elif (raw := raw_string_end(text, at)) is not None:
            end = raw
        elif text[at] in "\"'":
            end = literal_end(text, at)
        elif re.match(r"\w", text[at]):
            end = word_end(text, at)
        else:
            found = [sign for sign in OPERATORS if text.startswith(sign, at)]
            end = at + len(found[0]) if found else at + 1
        if kept:
            tokens.append(text[at:end])
        at = end
    return tokens


@given(SOURCES)
@example("// a \\\r\n b\nc")
@example('"a\\\r\nb" c')
@example('R"x(a)" // )x" b')
@example("1'000'000 + 0xff'ff")
def test_tokens_are_those_of_a_slow_automaton(source: str) -> None:
    # On two lines, so that what a comment holds is never kept.
    source += "\nend"
    assert lexer_tokens(source) == slow_tokens(source)


@pytest.mark.parametrize(
    ("source", "tokens"),
    [
        ('f("a // b", \'"\')', ["f", "(", '"a // b"', ",", "'\"'", ")"]),
        ('get("http://x"); // y\nz', ["get", "(", '"http://x"', ")", ";", "z"]),
        ("a/**/b//c\nd", ["a", "b", "d"]),
        ("a // b\rc", ["a", "c"]),
        ("a // b \\\nb\nc", ["a", "c"]),
        ("#define A \\\r\n 1", ["#", "define", "A", "1"]),
        ('s = "a\\\nb";', ["s", "=", '"a\\\nb"', ";"]),
        ('R"(")" // ")"\nb', ['R"(")"', "b"]),
        ('LR"x(a\n// )" )x" b', ['LR"x(a\n// )" )x"', "b"]),
        ('FOR"(a)" b', ["FOR", '"(a)"', "b"]),
        ("1'000'000 'a'", ["1'000'000", "'a'"]),
        ("p->q<<=1", ["p", "->", "q", "<<=", "1"]),
        ("x /* never closed", ["x"]),
        ('s = "never closed\nt', ["s", "=", '"never closed', "t"]),
        ("s = 'never closed\rt", ["s", "=", "'never closed", "t"]),
        (r'"a\"b" c', [r'"a\"b"', "c"]),
        ("", []),
    ],
)
def test_tokens_are_what_a_compiler_would_read(source: str, tokens: list[str]) -> None:
    assert lexer_tokens(source) == tokens


@given(st.one_of(st.text(), SOURCES))
def test_any_text_has_tokens_that_stand_in_it(source: str) -> None:
    place = 0
    for token in lexer_tokens(source):
        place = source.index(token, place) + len(token)


@pytest.mark.parametrize(
    "source",
    [
        "int f(int a) { // don't add return a + 1; }",
        "  int f(int a) { g(); // see /* below return a; }\n",
        "// adds int f(int a) { return a; }",
        "f() { } // and g() { return 1; }",
        'f() { R"(//)"; // x return 1; }',
    ],
)
def test_on_one_line_the_text_behind_a_comments_sign_is_kept(source: str) -> None:
    at = comment_kept_from(source)
    assert at is not None
    assert source.startswith("//", at)
    behind = re.findall(r"\w+", source[at:])
    assert [token for token in lexer_tokens(source) if re.match(r"\w", token)][
        -len(behind) :
    ] == behind


@pytest.mark.parametrize(
    "source",
    [
        "f(int a) { return a + 1; } // one",
        "f(int a) { return a; } /* // */",
        'f() { get("http://x"); }',
        "f() {\n  g(); // x return 1; }\n}",
        "f() {\r  g(); // x\r}",
        "f() { x = '//'; }",
        "",
    ],
)
def test_a_comment_that_hides_no_code_is_none_of_those(source: str) -> None:
    assert comment_kept_from(source) is None


def test_functions_that_were_flattened_differ_in_what_differs_behind_a_comment() -> None:
    generator = random.Random(3)
    bodies = [
        " ".join(f"v{generator.randint(0, 10**6)} += 1;" for _ in range(30)) for _ in range(9)
    ]
    grams = [token_grams(f"int f(void) {{ // don't \"worry {body} }}") for body in bodies]
    for one, other in itertools.pairwise(grams):
        assert len(one & other) / len(one | other) < 0.3
