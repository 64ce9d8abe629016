"""Pieces of C in the style of Draper VDISC, safe and unsafe, with gaps for names and numbers."""

from __future__ import annotations

from typing import NamedTuple


class Block(NamedTuple):
    """Some lines of C: what they declare, and what they do when safe and when not.

    Names in braces: {b} {s} {p} {q} are buffers, a source and pointers, {i} an index, {n} the size
    of the buffer, {k} less than it, {m} more.
    """

    declare: str
    safe: str
    unsafe: str

    @property
    def flaw_line(self) -> int:
        """The first line of the unsafe code that is another than in the safe one, from 0."""
        pairs = zip(self.unsafe.split("\n"), self.safe.split("\n"), strict=False)
        return next(place for place, (unsafe, safe) in enumerate(pairs) if unsafe != safe)


BLOCKS: dict[str, tuple[Block, ...]] = {
    "CWE-119": (
        Block(
            "int {b}[{n}];\nint {i};",
            "for ({i} = 0; {i} < {n}; {i}++)\n    {b}[{i}] = {s}->width;",
            "for ({i} = 0; {i} <= {n}; {i}++)\n    {b}[{i}] = {s}->width;",
        ),
        Block(
            "unsigned char {b}[{n}];",
            "memset({b}, 0, {k});\ntotal += {b}[0];",
            "memset({b}, 0, {m});\ntotal += {b}[0];",
        ),
        Block(
            "int {b}[{n}];\nint {i} = {s}->count;",
            "if ({i} < 0 || {i} >= {n})\n    return -1;\n{b}[{i}] = total;",
            "{b}[{i}] = total;\nif ({i} < 0 || {i} >= {n})\n    return -1;",
        ),
        Block(
            "long {b}[{n}];\nint {i};",
            "{i} = {s}->count;\nif ({i} >= 0 && {i} < {n})\n    total += {b}[{i}];",
            "{i} = {s}->count;\nif ({i} >= 0 || {i} < {n})\n    total += {b}[{i}];",
        ),
        Block(
            "char {b}[{n}];",
            "if (getcwd({b}, sizeof({b})))\n    total += {b}[{k}];",
            "if (getwd({b}))\n    total += {b}[{k}];",
        ),
    ),
    "CWE-120": (
        Block(
            "char {b}[{n}];",
            "strncpy({b}, {s}->name, {k});\n{b}[{k}] = 0;",
            "strncpy({b}, {s}->name, {m});\n{b}[{k}] = 0;",
        ),
        Block(
            "char {b}[{n}];",
            "if (strlen({s}->name) >= sizeof({b}))\n    return -1;\nstrcpy({b}, {s}->name);",
            "strcpy({b}, {s}->name);\nif (strlen({b}) >= sizeof({b}))\n    return -1;",
        ),
        Block(
            "char {b}[{n}];",
            'snprintf({b}, sizeof({b}), "%s/%d", {s}->name, total);',
            'sprintf({b}, "%s/%d", {s}->name, total);',
        ),
        Block(
            "char {b}[{n}];\nsize_t {i};",
            "{i} = strlen({s}->name);\nif ({i} > sizeof({b}))\n    {i} = sizeof({b});\n"
            "memcpy({b}, {s}->name, {i});",
            "{i} = strlen({s}->name);\nmemcpy({b}, {s}->name, {i});\nif ({i} > sizeof({b}))\n"
            "    {i} = sizeof({b});",
        ),
        Block(
            "char {b}[{n}];",
            "if (fgets({b}, sizeof({b}), stdin))\n    total += strlen({b});",
            "if (gets({b}))\n    total += strlen({b});",
        ),
    ),
    "CWE-469": (
        Block(
            "char *{p} = {s}->name;\nchar *{q};",
            "{q} = strchr({p}, ',');\nif ({q} != NULL)\n    total += {q} - {p};",
            "{q} = strchr({s}->text, ',');\nif ({q} != NULL)\n    total += {q} - {p};",
        ),
        Block(
            "char {b}[{n}];\nchar *{p} = {b};",
            "while (*{p} != 0)\n    {p}++;\ntotal = {p} - {b};",
            "while (*{p} != 0)\n    {p}++;\ntotal = {p} - {s}->text;",
        ),
        Block(
            "char *{p};\nchar *{q};",
            "{p} = {s}->text;\n{q} = {s}->text + {n};\ntotal = {q} - {p};",
            "{p} = {s}->name;\n{q} = {s}->text + {n};\ntotal = {q} - {p};",
        ),
        Block(
            "char *{p} = {s}->text;\nchar *{q} = {p} + {k};",
            "total += {q} - {p};",
            "total += (long) {q} - (long) {s};",
        ),
    ),
    "CWE-476": (
        Block(
            "struct node *{p};",
            "{p} = find_node({s}, {k});\nif ({p} == NULL)\n    return -1;\n{p}->refs++;",
            "{p} = find_node({s}, {k});\n{p}->refs++;\nif ({p} == NULL)\n    return -1;",
        ),
        Block(
            "char *{p} = malloc({n});",
            "if ({p} == NULL)\n    return -1;\n{p}[0] = 0;\nfree({p});",
            "{p}[0] = 0;\nif ({p} == NULL)\n    return -1;\nfree({p});",
        ),
        Block(
            "struct node *{p} = {s}->next;\nstruct node *{q} = {s}->prev;",
            "if ({p} != NULL && {q} != NULL)\n    {p}->prev = {q}->next;",
            "if ({p} != NULL || {q} != NULL)\n    {p}->prev = {q}->next;",
        ),
        Block(
            "struct node *{p} = {s}->next;",
            "if ({p})\n    total += {p}->width;",
            "if (!{p})\n    total += {p}->width;",
        ),
        Block(
            "struct node *{p};",
            "{p} = find_node({s}, {k});\nif ({p} != NULL)\n    total += {p}->refs;",
            "total += find_node({s}, {k})->refs;",
        ),
    ),
    "CWE-other": (
        Block(
            "int {i} = {s}->count;",
            "if ({i} == 0)\n    return -1;\ntotal = total / {i};",
            "total = total / {i};\nif ({i} == 0)\n    return -1;",
        ),
        Block(
            "char *{p} = strdup({s}->name);",
            "log_line({p});\nfree({p});",
            "free({p});\nlog_line({p});",
        ),
        Block(
            "char *{p} = {s}->text;",
            'printf("%s", {p});\nfflush(stdout);',
            "printf({p});\nfflush(stdout);",
        ),
        Block(
            'FILE *{p} = fopen({s}->name, "r");',
            "if ({p}) {{\n    total += fgetc({p});\n    fclose({p});\n}}",
            "if ({p}) {{\n    total += fgetc({p});\n    return total;\n}}",
        ),
        Block(
            "char *{p} = {s}->text;",
            "if (mkstemp({p}) < 0)\n    return -1;",
            "if (mktemp({p}) == 0)\n    return -1;",
        ),
    ),
}
FILLERS = (
    "total += {s}->width * {k};",
    "if ({s}->flags & {k})\n    total--;",
    "log_line({s}->text);",
    "{s}->flags |= {k};",
    "switch ({s}->state) {{\ncase {k}:\n    total++;\n    break;\ndefault:\n    break;\n}}",
    "while (total > {m})\n    total -= {k};",
    "if (total < 0)\n    total = 0;",
)
COMMENTS = (
    "/* keep the old value */",
    "// nothing to do here",
    "/* TODO: check this again */",
    "/* the caller holds the lock */",
    "// see the manual",
)
