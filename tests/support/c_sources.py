"""C and C++ files of known content: functions and their neighbours, put together and cut again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import strategies as st

from enstack.scanning.functions import Cut
from enstack.scanning.heads import SCOPES
from enstack.scanning.masking import masked

# Before the name, and from it to the body; the name is @.
HEADS = (
    ("int ", "@(void)"),
    ("", "@(args)"),
    ("static inline unsigned long\n", "@ (const char *s, size_t n)\n"),
    ("struct point *", "@(struct point p, int (*less)(int, int))"),
    ("void (*", "@(int n, void (*f)(int)))(int)"),
    ("int ", "@(a, b)\n  int a;\n  char *b;\n"),
    ("__attribute__((noinline)) static int ", "@(int x)"),
    ("static int ", "@(int x) __attribute__((unused))"),
    ("DEFINE_IT(a)\nDEFINE_IT(b)\nint ", "@(int x)"),
    ("EXPORT(int) CALL ", "@(int x)"),
    ("API int ", "@(int x) NOTHROW"),
    ('extern "C" int ', "@(int x) noexcept"),
    ("template <typename T, int N = (3 > 2)>\nauto ", "@(T const &t) -> decltype(t.x)"),
    ("std::map<int, std::vector<T>> ", "@(int x)"),
    ("[[nodiscard]] constexpr bool ", "@(int x) const"),
    ("int Outer::Inner::", "@(int x) const &"),
    ("", "@(int x) ATTRIBUTE(1)"),
    ("Outer::", "@(int x) : a(x), b{x}, c{{1, 2}, {3}}"),
    ("Status ", "@(const Slice &k) LOCKS_REQUIRED(mu_)"),
    ("int ", "@(int x, Options o = {}, const char *s = \"{\")"),
    ("void ", "@(int a /* { */, // }\n  int b)"),
    ("typename A<T>::type ", "@(T t) requires Small<T>"),
)  # fmt: skip
BODIES = (
    "{ }",
    "{ return x; }",
    "{\n  if (x) { y(\"}\"); } else { z('{'); }\n}",
    "{ /* } */ for (;;) { // }\n  }\n}",
    "{\n#if A\n  if (x) {\n#else\n  while (y) {\n#endif\n  }\n}",
    "{\n#ifdef A\n  if (x)\n    { }\n#endif\n  else if (y) { }\n}",
    "{\n#define LOCAL(x) do { x; \\\n  } while (0)\n  LOCAL(1);\n}",
    "{ struct s t = { .a = { 1 }, .b = (struct u){ 2 } }; }",
    '{ auto f = [&](int x) { return R"x({)")x"; }; int k = 1\'000; }',
    "{ struct local { int m() { return 1; } }; switch (x) { case 1: { } default: ; } }",
    "{" * 40 + "}" * 40,
)
# What stands beside functions, and the kinds that it is listed as.
NEIGHBOURS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("\n", ()),
    ("/* int no(void) { } */\n", ()),
    ("// int no(void) { \\\n }\n", ()),
    ("int no(void);\n", ()),
    ("extern int no, *nor;\n", ()),
    ("struct s { int a; struct { int b; } c; } v;\n", ("type", "type")),
    ("typedef struct { int a; } s_t;\n", ("type",)),
    ("enum e { A, B };\n", ("enum",)),
    ("enum class e : int { A };\n", ("enum",)),
    ("int a[] = { 1, 2 }, b[2] = { 1 };\n", ("initializer", "initializer")),
    ("struct s v = { .f = no, .g = { 1 } };\n", ("initializer",)),
    ("auto no = [](int x) { return x; };\n", ("initializer",)),
    ("#define NO(x) do { x } while (0)\n", ("macro",)),
    ("#define NO int no(void) \\\n  { }\n", ("macro",)),
    ("#define OPEN {\n", ("macro",)),
    ("#if 0\nint no(void) { }\n#endif\n", ("#if 0",)),
    ("#include <no.h>\n#pragma once\n", ()),
    ('const char *no = "{ \\" {";\nint nor = \'{\';\n', ()),
    ("MACRO(x) { } else { }\n", ("statement", "statement")),
    ("if (x) { }\n", ("statement",)),
    ("for (;;) { }\n", ("statement",)),
    ("namespace n {\n}\n", ("namespace",)),
    ('extern "C" {\n}\n', ("linkage",)),
    ("class EXPORT(1) C final : public B<void(int)> {\n public:\n  int a = 1;\n};\n", ("type",)),
    ("using namespace std;\nusing F = int (*)(int);\n", ()),
    ("template <class T> struct W { T t{}; };\n", ("type", "initializer")),
    ("union u { int a; };\n", ("type",)),
)
# What texts that are no program are made of.
PIECES = (
    '{', '}', '(', ')', '[', ']', '<', '>', ';', ':', ',', '=', '*', '&', '~', "'", '"', '\\',
    '/*', '*/', '//', '\n', '\r\n', '\r', '\\\n', '\\\r\n', '??<', '??>', '??/\n', '??=', '<%',
    '%>', '%:', '\n#', '\n#if 0\n', '\n#if A\n', '\n#ifdef A\n', '\n#ifndef A\n', '\n#elif B\n',
    '\n#else\n', '\n#endif\n', '\n#define X {\n', '\n#define X }\n', '\x00', '\t', '\x0c', 'ä',
    '\u2028', '\ufeff', '😀', 'R"(', ')"', 'R"x(', ')x"', 'u8R"', "0'1", "1'000", 'if', 'else',
    'for (;;) {', 'do {', '} while (0);', 'struct s {', 'class C : B {', 'enum {',
    'namespace n {', 'extern "C" {', 'template <', 'operator', 'operator()(', 'operator=(',
    'try {', 'catch (...) {', 'try', 'requires', 'requires {', '= {', '[] {', 'f(', 'f()',
    'f() {', 'int f(int a) {', 'f(a) int a; {', 'f {', 'typedef', 'public:', 'case 1:',
    'default:', '->', '::', '...', 'noexcept', 'const', '#', '##',
)  # fmt: skip
WRAPPERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("", "", ()),
    ("namespace a::b {\n", "}\n", ("namespace",)),
    ('#ifdef __cplusplus\nextern "C" {\n#endif\n', "#ifdef __cplusplus\n}\n#endif\n", ("linkage",)),
    ("#ifndef H\n#define H\n", "#endif\n", ()),
    ("struct S : T {\n", "};\n", ("type",)),
)


@dataclass
class KnownFile:
    """A file's text, its functions as name and offset and text, and the kinds of other blocks."""

    text: str
    functions: list[tuple[str, int, str]]
    kinds: list[str]


@st.composite
def known_files(draw: st.DrawFn) -> KnownFile:
    """Files of some functions and whatever may stand beside them."""
    text, functions, kinds = "", [], []
    for opening, closing, wrapper_kinds in draw(st.lists(st.sampled_from(WRAPPERS), max_size=3)):
        text = _on_its_line(text, opening) + opening
        kinds += wrapper_kinds
        for number in range(draw(st.integers(0, 3))):
            neighbour, its_kinds = draw(st.sampled_from(NEIGHBOURS))
            before, head = draw(st.sampled_from(HEADS))
            name = f"f{len(functions)}_{number}"
            text = _on_its_line(text, neighbour) + neighbour + before
            kinds += its_kinds
            function = head.replace("@", name) + draw(st.sampled_from(BODIES))
            functions.append((name, len(text), function))
            text += function + draw(st.sampled_from(("\n", " ", "", "\n\n/* } */\n")))
        neighbour, its_kinds = draw(st.sampled_from(NEIGHBOURS))
        text = _on_its_line(text + "\n", neighbour) + neighbour + closing
        kinds += its_kinds
    return KnownFile(text, functions, kinds)


def _on_its_line(text: str, next_part: str) -> str:
    return text + "\n" if next_part.startswith("#") and text else text


def faults(text: str, found: Cut) -> Iterator[str]:
    """What a cut must never do, whatever the text: lose a brace, or give it to two."""
    lines = text if "\n" in text else text.replace("\r", "\n")
    # Of many some: to count lines takes long.
    every = [*found.functions, *found.leftovers]
    for one in every[:: 1 + len(every) // 200]:
        for place in (one.start, one.end):
            before = lines[: place.offset]
            expected = (before.count("\n") + 1, place.offset - before.rfind("\n"))
            if (place.line, place.column) != expected:
                yield f"{one} stands at {expected}"
    for function in found.functions:
        if text[function.start.offset : function.end.offset + 1] != function.text:
            yield f"{function.name} has another text than stands there"
        if "".join(function.text.split())[:1] not in (function.name[:1], "??"):
            yield f"{function.name} does not start with its name: {function.text[:20]!r}"
        if not function.text.endswith(("}", "??>", "%>")):
            yield f"{function.name} does not end with its brace: {function.text[-20:]!r}"
    for before_, after in zip(found.functions, found.functions[1:], strict=False):
        if before_.end.offset >= after.start.offset:
            yield f"{before_.name} and {after.name} overlap"
    yield from _lost(text, found)


def _lost(text: str, found: Cut) -> Iterator[str]:
    taken = [(one.start.offset, one.end.offset) for one in found.functions]
    braces = [one.brace.offset for one in found.leftovers]
    for brace in braces:
        if any(start <= brace <= end for start, end in taken):
            yield f"the block at {brace} is listed, and part of a function"
    if len({*braces}) != len(braces):
        yield "a block is listed twice"
    closed = [one for one in found.leftovers if one.kind not in (*SCOPES, "unclosed brace")]
    spans = taken + [(one.brace.offset, one.end.offset) for one in closed]
    covered = bytearray(len(text) + 1)
    for start, end in spans:
        covered[start : end + 1] = b"\1" * (end + 1 - start)
    for brace in braces:
        covered[brace] = 1
    for at, sign in enumerate(code_of(text)):
        if sign == "{" and not covered[at]:
            yield f"the brace at {at} is lost: {text[max(0, at - 20) : at + 20]!r}"


def code_of(text: str) -> str:
    """A text without comments, literals and preprocessor lines, of the same length."""
    plain = masked(text).text.split("\n")
    return "\n".join(" " * len(line) if line.lstrip().startswith("#") else line for line in plain)
