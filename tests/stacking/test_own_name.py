"""A function's own name is found in its head and masked; other names stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.stacking.own_name import mask_own_name, own_name

HEADS = {
    "emit_request()": "emit_request",
    "static inline int f(char *s, int (*g)(int))": "f",
    "int f(int a) __attribute__((noinline))": "f",
    "__attribute__((noinline)) int f(int a)": "f",
    "EXPORT(int) f(int a)": "f",
    "PHP_FUNCTION(strlen)": "PHP_FUNCTION",
    "int f(a) int a;": "f",
    "Foo::Foo(int a) : x(a), y(0)": "Foo",
    "Foo::~Foo()": "Foo",
    "/* f2(x) { } */ int f(void)": "f",
    "// g() {\nint f(void)": "f",
    "template <typename T> T f(T a) noexcept(true)": "f",
    "void *f (size_t n)": "f",
}


@pytest.mark.parametrize(("head", "name"), HEADS.items(), ids=list(HEADS))
def test_the_name_stands_before_the_parameters(head: str, name: str) -> None:
    assert own_name(f"{head} {{ return other(1); }}") == name


@pytest.mark.parametrize(
    "text", ["", "{ f(1); }", "if (a) { f(1); }", "int a = 3;", ")(", "(", "5(a) { }"]
)
def test_a_text_without_a_head_has_no_name(text: str) -> None:
    assert own_name(text) is None
    assert mask_own_name(text) == text


def test_the_name_is_masked_wherever_it_stands_as_a_word() -> None:
    masked = mask_own_name('int f(int n) { /* f */ log("f"); return f(n - 1) + ff(f2); }')
    assert masked == (
        'int FUNCTION(int n) { /* FUNCTION */ log("FUNCTION"); return FUNCTION(n - 1) + ff(f2); }'
    )


@given(st.text(alphabet="fg(){};:,*~ \n/\"'_2", max_size=60))
def test_any_text_is_masked_without_an_error_and_only_once(text: str) -> None:
    masked = mask_own_name(text)
    assert mask_own_name(masked) == masked
