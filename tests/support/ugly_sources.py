"""Files that were not written to be read: each with the functions that are in it all the same.

name: (bytes, names of functions, kinds of other blocks).
"""

from __future__ import annotations

UGLY: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "", ""),
    "blanks": (b" \t\r\n\f\v\n", "", ""),
    "one brace": (b"{", "", "unclosed brace"),
    "one closing brace": (b"}", "", "stray brace"),
    "braces alone": (b"{}{{}}", "", "unknown unknown"),
    "NUL bytes alone": (b"\0" * 100, "", ""),
    "NUL bytes between": (b"int\0f(\0int\0x)\0{\0}\0", "f", ""),
    "control characters": (b"int f(void)\x01\x02 { \x1b[31m } \x7f", "f", ""),
    "latin-1": (b'/* caf\xe9 */ int f(void) { char *s = "\xe9"; }', "f", ""),
    "latin-1 name": (b"int caf\xe9(void) { }", "café", ""),
    "UTF-8 with a mark": (b"\xef\xbb\xbfint f(void) { }", "f", ""),
    "UTF-16": ("\ufeffint f(void) { /* ä */ }".encode("utf-16-le"), "f", ""),
    "UTF-16, big end first": ("\ufeffint f(void) { }".encode("utf-16-be"), "f", ""),
    "UTF-32": ("\ufeffint f(void) { }".encode("utf-32-le"), "f", ""),
    "cut UTF-8": (b'int f(void) { s("\xe2\x82', "", "unclosed brace"),
    "wide letters in a name": ("int größe(int ß) { }".encode(), "größe", ""),
    "signs outside the BMP": ("// \U0001f600\nint f(void) { }".encode(), "f", ""),
    "no-break spaces": ("int\u00a0f(void)\u00a0{ }".encode(), "f", ""),
    "line separators": ("int f(void)\u2028{ }\u2029int g(void) { }".encode(), "f g", ""),
    "CRLF": (b"int f(void)\r\n{\r\n}\r\nint g(void)\r\n{\r\n}\r\n", "f g", ""),
    "CR alone": (b"int f(void)\r{\r}\r// no { \rint g(void)\r{\r}\r", "f g", ""),
    "mixed line ends": (b"int f(void)\r{\n}\r\nint g(void) {\r\n}\n", "f g", ""),
    "no line end": (b"int f(void) { }", "f", ""),
    "all on one line": (b"int f(void) { } int g(void) { } int h;", "f g", ""),
    "form feeds": (b"\fint f(void)\n\f{\n\f}\n", "f", ""),
    "continued lines": (b"int \\\nf(vo\\\nid) { \\\n}\n// no \\\n int g(void) { }\n", "f", ""),
    "continued with blanks": (b"#define X { \\  \n }\nint f(void) { }", "f", "macro"),
    "trigraphs": (
        b"int f(void) ??< int a??(1??); ??>\n??=define X ??<\nint g() { }",
        "f g",
        "macro",
    ),
    "digraphs": (b"int f(void) <% int a<:1:>; %>\n%:define X <%\nint g() { }", "f g", "macro"),
    "not a digraph": (b"void f(std::vector<::A> x) { }", "f", ""),
    "comment that never ends": (b"int f(void) { }\n/* int g(void) { }", "f", "unclosed comment"),
    "comment in a body that never ends": (
        b"int f(void) { /* }\nint g(void) { }",
        "",
        "unclosed brace|unclosed comment",
    ),
    "text that never ends": (b'int f(void) { s("}); }\nint g(void) { }\n}', "f", ""),
    "apostrophes in prose": (b"#error don't\n#if 0\nit's {\n#endif\nint f(void) { }", "f", "#if 0"),
    "quotes in characters": (b"int f(void) { a = '\"'; b = '\\''; c = '{'; d = \"'\"; }", "f", ""),
    "raw strings": (b'auto s = R"x()" }{ )x";\nint f() { return R"({)"; }', "f", ""),
    "raw string that never ends": (
        b'int f() { return R"x({; }\nint g() { }',
        "",
        "unclosed brace|statement",
    ),
    "digit separators": (b"int f() { return 1'000'000 + 0x'f'f; }\nint g() { }", "f g", ""),
    "K&R": (b"int f(a, b)\nint a;\nchar *(*b)();\n{ }\ng(c) { }", "f g", ""),
    "K&R with a macro": (
        b"local int f(a) int a; { }\nint ZEXPORT g(s, n)\n    z s;\n    int n;\n{ }",
        "f g",
        "",
    ),
    "missing brace": (b"int f(int x)\n{\n  if (x) {\n    y();\n}\nint g(void)\n{\n}\n", "f g", ""),
    "brace too many": (b"int f(void)\n{\n}\n}\nint g(void)\n{\n}\n", "f g", "stray brace"),
    "missing brace in a namespace": (
        b"namespace n {\nint f() {\n  if (x) {\n}\nint g() {\n}\n}\n",
        "n::f n::g",
        "namespace",
    ),
    "missing brace behind a head of two lines": (
        b"namespace n {\nint f(int a,\n      int b) {\n  if (x) {\n}\nint g(void) {\n}\n}\n",
        "n::f n::g",
        "namespace",
    ),
    "missing parenthesis": (b"int f(int x {\n}\nint g(void) {\n}\n", "g", "initializer"),
    "parenthesis too many": (b"int f(int x)) {\n}\nint g(void) {\n}\n", "f g", ""),
    "cut in a function": (
        b"int f(void) { }\nint g(void) { if (x) { y(",
        "f",
        "unclosed brace|unclosed brace",
    ),
    "conflict marks": (
        b"<<<<<<< ours\nint f(void) { }\n=======\nint f(int x) { }\n>>>>>>> theirs\n",
        "f",
        "initializer",
    ),
    "diff": (b"@@ -1,2 +1,2 @@\n-int f(void) { }\n+int f(int x) { }\n", "f f", ""),
    "heads in branches": (
        b"#if A\nint f(int a)\n#else\nint f(void)\n#endif\n{ }\nint g() { }",
        "f g",
        "",
    ),
    "braces in branches": (
        b"#if A\nint f(int a) {\n#else\nint f(void) {\n#endif\n}\nint g() { }",
        "f g",
        "",
    ),
    "a function in a branch within another's text": (
        b"#if A\nint f(int a) {\n#else\nint h() { }\nint f(void) {\n#endif\n}\nint g() { }",
        "f g",
        "",
    ),
    "same condition twice": (
        b"#ifdef A\nint f(void) {\n#endif\n#ifndef A\nint f(int a) {\n#endif\n}\nint g() { }",
        "f g",
        "",
    ),
    "whole functions in branches": (
        b"#if A\nint f() { }\n#elif B\nint f() { }\n#else\nint g() { }\n#endif",
        "f f g",
        "",
    ),
    "#if 0 around everything": (b"#if 0\nint f() { }\n#else\nint g() { }\n#endif", "g", "#if 0"),
    "#if 0 within a head": (b"int\n#if 0\n{ }\n#endif\nA::f() : a{} { }", "A::f", "#if 0"),
    "#if that never ends": (b"#if A\nint f() { }\n#else\nint g() { }", "f g", ""),
    "#endif too many": (b"#endif\n#else\n#elif X\nint f() { }\n#endif", "f", ""),
    "extern C around": (
        b'#ifdef __cplusplus\nextern "C" {\n#endif\nint f() { }\n#ifdef __cplusplus\n}\n#endif',
        "f",
        "linkage",
    ),
    "macros that are heads": (
        b"TEST(A, B) { }\nSYSCALL_DEFINE3(read, int, fd) { }\nMAIN { }",
        "TEST SYSCALL_DEFINE3",
        "unknown",
    ),
    "macro with else": (b"FOO(x) { } else { }\nint f() { }", "f", "statement statement"),
    "statements outside": (
        b"if (x) { } else if (y) { } while (1) { } do { } while (0); int f() { }",
        "f",
        "statement " * 4,
    ),
    "templates": (
        b"template <> struct A<(1 > 2)> { template <class T> void f(T t) { } };\n"
        b"template <class T> template <class U> void A<T>::g(U u) { }",
        "A::f A::g",
        "type",
    ),
    "operators": (
        b"struct A { A &operator=(const A &a) { } bool operator()(int x) const { } "
        b"operator bool() { }\n"
        b"void *operator new[](size_t n) { } int operator[](int i) { } bool operator<(A a) { }\n"
        b'A operator,(A a) { } A *operator->() { } };\nlong double operator""_km(long '
        b"double x) { }",
        "A::operator= A::operator() A::operator bool A::operator new[] A::operator[] A::operator< "
        'A::operator, A::operator-> operator""_km',
        "type",
    ),
    "constructors": (
        b"A::A(int x) : B(x), c{x}, d{{1, 2}}, e([] { return 1; }()) { }\nA::~A() { }\n"
        b"A::A() try : b{1} { } catch (int) { } catch (...) { }\nA::A(A &&) "
        b"noexcept(true) : b{} { }",
        "A::A A::~A A::A A::A",
        "",
    ),
    "lambdas": (
        b"auto f = [](int x) { return [=] { return x; }; };\nint g(int x = [] { return 1; }()) { }",
        "g",
        "initializer",
    ),
    "attributes": (
        b"[[gnu::hot]] __attribute__((x(1))) int f(void) { }\n__declspec(dllexport) int "
        b"__stdcall g(int x) { }\n"
        b"alignas(8) static int h(void) __attribute__((y)) { }\nint __attribute__((z)) i(void) { }",
        "f g h i",
        "",
    ),
    "macros behind heads": (
        b"Lock::~Lock() UNLOCKS(mu_) { }\nint f(int x) const LOCKS(a) "
        b"LOCKS(b) { }\nint G(void) HOT { }",
        "Lock::~Lock f G",
        "",
    ),
    "classes behind macros": (
        b"class API ALIGN(8) A final : B { void f() { } };\nclass EXPORT(1) C { C() { } };\n"
        b"struct s __attribute__((packed)) { int a; };\nstruct s f(int x) NOTHROW { }",
        "A::f C::C f",
        "type type type",
    ),
    "classes within classes": (
        b"namespace n { class A { struct B { void f() { } class C { C() { } }; } b; "
        b"void g() { } }; }",
        "n::A::B::f n::A::B::C::C n::A::g",
        "namespace type type type",
    ),
    "returned types": (
        b"struct s f(int x) { }\nenum e g(void) { }\nstruct { int a; } h(void) { }\n"
        b"int (*i(void))[3] { }\nvoid (*j(int x, void (*f)(int)))(int) { }\nunsigned "
        b"(k)(int x) { }",
        "f g h i j k",
        "type",
    ),
    "nested functions of GNU C": (
        b"int f(void) { int g(int x) { return x; } return g(1); }\nint h() { }",
        "f h",
        "",
    ),
    "scopes before names": (
        b"int a::B<T, 3>::f(void) { } A::operator int() { } namespace n { void C :: g() { } }",
        "a::B::f A::operator int n::C::g",
        "namespace",
    ),
    "functions in a branch of a class": (
        b"namespace a::b { class C {\n#if X\n static\n#else\n void f() { }\n inline\n#endif\n"
        b" void g() { } }; }",
        "a::b::C::f a::b::C::g",
        "namespace type",
    ),
    "modules": (b"export module m;\nexport int f() { } export { int g() { } }", "f g", "linkage"),
    "a type's word called": (b"struct(x) { };\nint f() { }", "f", "type"),
    "requires": (
        b"template <class T> requires requires(T t) { t.f(); } void f(T t) { }\n"
        b"template <class T> concept C = requires(T t) { { t.g() } -> Same<int>; "
        b"};\nvoid g(C auto x) requires D<int> { }",
        "f g",
        "argument initializer",
    ),
    "calls in default arguments": (
        b"void f(int a = g({1, 2}), B b = {}) { }\nvoid h(B b = B{1}) { }",
        "f h",
        "",
    ),
    "variables in braces": (
        b"int a{1};\nstd::vector<int> b{1, 2}, c{3};\nA d(1), e{2};\nint f() { }",
        "f",
        "initializer " * 4,
    ),
    "Objective-C's enumerations": (
        b"typedef NS_ENUM(int, Kind) { A, B };\nint f(void) { }",
        "f",
        "type",
    ),
    "asm": (
        b'asm("x { y");\nint f(void) { __asm__ volatile("{" : : "r"(x)); }\n__asm { mov eax, 1 }',
        "f",
        "unknown",
    ),
    "prose": (
        b"This file isn't C. It's {a text}, (with) signs: \"quoted.\nint f(void) { }\n",
        "f",
        "initializer",
    ),
    "20,000 braces": (b"{" * 20_000 + b"}" * 20_000, "", "unknown"),
    "20,000 opened braces in a function": (
        b"int f(void) " + b"{" * 20_000 + b"}" * 20_000,
        "f",
        "",
    ),
    "20,000 parentheses": (
        b"int f(" + b"(" * 20_000 + b")" * 20_000 + b") { }\nint g() { }",
        "g",
        "unknown",
    ),
    "5,000 namespaces": (
        b"namespace n {" * 5000 + b"int f() { }" + b"}" * 5000,
        "::".join(["n"] * 32 + ["f"]),
        "namespace " * 5000,
    ),
    "a function of 500 KB": (
        b"int f(void)\n{\n" + b'  if (x) { y("}"); } /* } */\n' * 20_000 + b"}\nint g() { }",
        "f g",
        "",
    ),
    "a line of 500 KB": (b"int f(void) { " + b"x = x + 1; " * 50_000 + b"} int g() { }", "f g", ""),
    "3,000 functions": (b"int f(void) { }\n" * 3000, "f " * 3000, ""),
    "1,000 branches": (
        b"#if 1\n" + b"#elif X\nint f() {\n" * 1000 + b"#endif\nint g() { }",
        "g",
        "#if 0 " * 1000,
    ),
}
