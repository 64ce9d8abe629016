"""Words, types and statements of C that made-up functions of any size are put together from."""

from __future__ import annotations

WORDS = (
    "addr alloc arg attr avg base bit block body buf byte cache cfg chan char chunk client clk cmd "
    "code col conf conn copy count cpu ctx cur data dbg dec dest dev dir dma doc dst elem enc end "
    "entry err evt expr fd field file filter flag fmt frame free func hash hdr head height host id "
    "idx info init input int io irq item iter key label last len level line link list load lock "
    "loop map mask match mem menu mode msg name net next node num obj off old op opt out owner pad "
    "page param parent path pkt pool port pos prev priv prop proto ptr queue range rate read rec "
    "ref reg req res ring root row scan seg sel seq sess set sig size skb slot sock src stack "
    "start stat state step str stream sub sum sym sys tab tag task text time tmp tok top total "
    "tree type unit use user val vec ver view vol wait width win word work write"
)
SYLLABLES = (
    "ab ac ad al am an ap ar at ba be bi bo br ca ce ch ci co cr de di do dr ed el em en er es ex "
    "fa fe fi fl fo ga ge gi gl go gr ha he hi ic id il im in ir is it ka ke la le li lo lu ma me "
    "mi mo mu na ne ni no nu ob oc od of ol om on op or os ot ou pa pe ph pi pl po pr qu ra re ri "
    "ro ru sa sc se sh si so sp st su ta te th ti to tr tu ub ul um un up ur us ut va ve vi vo wa"
)
TYPES = ("int", "long", "char", "size_t", "uint32_t", "unsigned", "double", "void", "ssize_t")
STATEMENTS = (
    "{i} = {j};",
    "{p}->{i} = {j};",
    "{p}->{i} += {j} * {k};",
    "{f}({p}, {i});",
    "{f}(&{p}->{i}, {j}, {k});",
    "{i} = {f}({p}->{j});",
    'fprintf(stderr, "{i} {j} %d\\n", {i});',
    "if ({i} < 0)\n    return {i};",
    "if (!{p})\n    goto {j};",
    "if ({f}({p}, {k}) != {m}) {{\n    {i} = -1;\n    goto out;\n}}",
    "for ({i} = 0; {i} < {p}->{j}; {i}++)\n    {q}[{i}] = {p}->{q}[{i}];",
    "while ({p} != NULL) {{\n    {i} |= {p}->{j} & {h};\n    {p} = {p}->next;\n}}",
    "{t} {i} = {k};",
    "{t} *{p} = ({t} *){q};",
    "{p}->{i} = ({t}) ({j} >> {m}) & {h};",
    'DEBUG("{i}: {j}=%s", {p}->{q});',
    "assert({p}->{i} == {m});",
    "{f}({M}, {h}, sizeof(*{p}));",
    "if ({p}->{i} & {M})\n    {f}({p});\nelse\n    {p}->{j} = {m};",
    "case {M}:\n    {i} = {f}({p}, {k});\n    break;",
)
