"""A function as a model was trained on it: the same text, with or without comments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enstack.data.functions import read_data
from enstack.duplicates.lexer import has_comment, lexer_tokens
from enstack.scanning.functions import cut
from enstack.scanning.shape import shaped
from enstack.scanning.source_text import SourceText
from enstack.toy.folder import write_toy
from tests.support.c_sources import KnownFile, known_files

COMMENTED = 'f(int a) /* b */\r\n{\r\n  // c\r\n  x = "/* no */"; // d\r\n\r\n}'


def test_comments_stay_where_training_data_has_them() -> None:
    text, lines = shaped(COMMENTED, comments=True)
    assert text == COMMENTED.replace("\r\n", "\n")
    assert lines == [1, 2, 3, 4, 5, 6]
    assert has_comment(COMMENTED)


def test_comments_go_where_training_data_has_none_and_lines_are_known() -> None:
    text, lines = shaped(COMMENTED, comments=False)
    assert text == 'f(int a)\n{\n  x = "/* no */";\n}'
    assert lines == [1, 2, 4, 6]
    assert not has_comment(text)


@given(known_files(), st.booleans())
def test_a_shape_keeps_every_token_and_tells_each_line(file: KnownFile, comments: bool) -> None:
    for _, _, function in file.functions:
        text, lines = shaped(function, comments=comments)
        if "\\\n" not in function:
            assert lexer_tokens(text) == lexer_tokens(function) or text.count("\n") == 0
        original = function.split("\n")
        for line, number in zip(text.split("\n"), lines, strict=True):
            assert comments or line.split()[:1] == original[number - 1].split()[:1] or "/*" in (
                original[number - 1]
            )  # fmt: skip


def test_functions_of_training_data_are_cut_and_shaped_as_they_are(tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    folder = write_toy(tmp_path_factory.mktemp("vdisc") / "data", vdisc=400)
    data = read_data(folder, label_mode="cwe_or_clean")
    sources = data.splits["train"].sources.to_pylist()
    assert len(sources) > 200
    for source in sources:
        (function,) = cut(SourceText(source)).functions
        assert function.text == source.rstrip()
        assert shaped(source, comments=True).text == source
