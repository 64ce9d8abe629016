"""Functions out of files: exact texts, lines and names, and no brace block that is lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.scanning.functions import Cut, cut
from enstack.scanning.leftovers import KINDS
from enstack.scanning.source_text import SourceText, decoded
from tests.support.c_sources import PIECES, KnownFile, faults, known_files
from tests.support.ugly_sources import UGLY

KINDS_IN = re.compile("|".join(sorted(KINDS, key=len, reverse=True)))


def cut_text(text: str) -> Cut:
    found = cut(SourceText(text))
    assert list(faults(text, found)) == []
    return found


@given(known_files(), st.sampled_from(["\n", "\r\n", "\r"]))
def test_functions_come_back_with_text_lines_and_name_whatever_stands_beside_them(
    file: KnownFile, line_end: str
) -> None:
    text = file.text.replace("\n", line_end)
    found = cut_text(text)
    expected = []
    for name, offset, function in file.functions:
        before = file.text[:offset]
        line, column = before.count("\n") + 1, offset - before.rfind("\n")
        last = line + function.rstrip().count("\n")
        expected.append((name, line, column, last, function.replace("\n", line_end)))
    assert expected == [
        (one.name, one.start.line, one.start.column, one.end.line, one.text)
        for one in found.functions
    ]
    assert sorted(one.kind for one in found.leftovers) == sorted(file.kinds)
    assert {one.way for one in found.functions} <= {"C", "C++", "braces"}


@given(st.lists(st.sampled_from(PIECES), max_size=60), st.sampled_from(["", " ", "\n"]))
def test_every_brace_of_any_text_is_in_one_function_or_listed_once(
    pieces: list[str], between: str
) -> None:
    cut_text(between.join(pieces))


CONSTRUCTIONS = {
    "a macro with braces before functions": (
        "#define M do { /*c*/; } while (0)\nint f(int x)\n{\n}\nint g(void)\n{\n}\n",
        ["f:2", "g:5"],
    ),
    "two heads in branches": (
        "#ifndef A\nint f(int a)\n#else\nint f(int a, int b)\n#endif\n{\n}\nint g(void) { }\n",
        ["f:2", "g:8"],
    ),
    "braces opened in both branches": (
        "void f(void)\n{\n#if A\n  if (x) {\n#else\n  if (y) {\n#endif\n  }\n}\nint g(void) { }\n",
        ["f:1", "g:10"],
    ),
    "a macro that defines": (
        "SYSCALL_DEFINE3(read, unsigned int, fd, char *, b, size_t, n)\n{\n}\n",
        ["SYSCALL_DEFINE3:1"],
    ),
    "parameters declared behind": ("int\nf(a, b)\n  int a;\n  char *b;\n{\n}\n", ["f:2"]),
    "macros without a semicolon": (
        "DEFINE_FN(a)\nDEFINE_FN(b)\nstatic int f(int x)\n{\n}\n",
        ["f:3"],
    ),
    "else if in a branch": (
        "void f(void)\n{\n  if (a) { }\n#ifdef X\n  else if (b) { }\n#endif\n}\nint g(void) { }\n",
        ["f:1", "g:8"],
    ),
    "a macro with else": ("MACRO(x) { } else { }\nint f(void) { }\n", ["f:2"]),
    "Draper VDISC's shape": ("name(args) {\n}\n", ["name:1"]),
    "GNU C, attributes, linkage, templates, operators, trigraphs": (
        "int f(void) { int g(int x) { } }\n__attribute__((x)) int h(void) { }\n"
        'extern "C" int i(void) { }\nextern "C" {\nint j(void) { }\n}\n'
        "template <class T> T k(T t) { }\nbool operator<(A a, A b) { }\nint l(void) ??< ??>\n",
        ["f:1", "h:2", "i:3", "j:5", "k:7", "operator<:8", "l:9"],
    ),
}


@pytest.mark.parametrize("name", CONSTRUCTIONS)
def test_constructions_that_grammars_lose_are_found_with_name_and_line(name: str) -> None:
    text, expected = CONSTRUCTIONS[name]
    functions = cut_text(text).functions
    assert [f"{one.name}:{one.start.line}" for one in functions] == expected


WAYS = {
    "int f(a) int a; { }": "C",
    "EXPORT(int) f(int x) { }": "C",
    "f(int x) { }": "C++",
    "class A { public: template <class T> int f() const { } };": "C++",
    "class A { Q_OBJECT signals: public slots: void f() { } };": "C",
    "DEFINE(a) int f(int x) { }": "braces",
    "f(int x) LOCKS(mu) { }": "braces",
}


@pytest.mark.parametrize("text", WAYS)
def test_what_read_a_head_stands_with_the_function(text: str) -> None:
    (function,) = cut_text(text).functions
    assert (function.name, function.way) == ("f", WAYS[text])


@pytest.mark.parametrize("name", UGLY)
def test_ugly_files_lose_nothing(name: str) -> None:
    content, functions, kinds = UGLY[name]
    source = decoded(content)
    found = cut(source)
    assert list(faults(source.text, found)) == []
    assert " ".join(one.qualified_name for one in found.functions) == functions.strip()
    expected = sorted(kinds.split("|") if "|" in kinds else KINDS_IN.findall(kinds))
    assert sorted(one.kind for one in found.leftovers) == expected
    assert {one.kind for one in found.leftovers} <= KINDS.keys()
