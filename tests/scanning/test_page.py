"""The page of a scan: one file that asks for nothing, code as text, the worst findings first."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from enstack.bundle.opening import OpenedModel
from enstack.scanning import page
from enstack.scanning.findings import ScoredLine
from enstack.scanning.outputs import scan_as, write_output
from enstack.scanning.scan import Scan, scan_paths
from tests.support.pages import Page


def test_a_page_is_one_file_without_scripts_or_requests_and_ends_with_what_it_is_worth(
    scanned: Scan, tmp_path: Path
) -> None:
    file = write_output(scanned, "html", tmp_path / "found.html")
    told = Page(file)
    assert told.targets == []
    assert not told.tags & {"script", "link", "img", "iframe", "object", "form", "a", "base"}
    text = file.read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|\son\w+=", text)
    assert told.text.endswith("where fewer are, fewer alerts are right.")
    assert "Learned from 42 functions of toy" in told.text
    # A scan may write over what a scan has written.
    assert write_output(scanned, "html", file).read_text() == text


def test_findings_stand_worst_first_each_with_its_code(scanned: Scan) -> None:
    text = scan_as(scanned, "html")
    heads = re.findall(r'<span class="place">(.*?):(\d+) ', text)
    assert heads == [(str(o.function.path), str(o.function.start_line)) for o in scanned.findings]
    for finding in scanned.findings:
        assert f'data-n="{finding.function.start_line}"' in text
    assert text.count("<article>") == len(scanned.findings)


HOSTILE = [
    "</td></table><script>alert(1)</script>",
    "<!-- \" onmouseover='x' -->",
    "&lt;b&gt; &#0; {{ 7 * 7 }} {% raw %}",
    "\u202e\x1b[2J\ufeff",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_code_and_files_say_is_text(
    scanned: Scan, opened: OpenedModel, cache: Path, tmp_path: Path, hostile: str
) -> None:
    code = scanned.findings[0].code
    assert code is not None
    folder = tmp_path / f"a{hostile.replace('/', '|')}"
    folder.mkdir()
    within = code.replace("{\n", f'{{ /* {hostile} */ char *s = "{hostile}";\n', 1)
    (folder / "a.c").write_text(f"int\n{within}\n")
    scan = scan_paths([folder], opened, cache_dir=cache)
    assert scan.findings
    reason = dataclasses.replace(scan.functions[0], strange=(hostile,))
    scan = dataclasses.replace(
        scan, findings=[dataclasses.replace(o, function=reason) for o in scan.findings]
    )
    file = tmp_path / "found.html"
    write_output(scan, "html", file)
    told = Page(file)
    assert told.targets == []
    assert "script" not in told.tags
    shown = "".join(c if c.isprintable() else "?" for c in hostile)
    assert "".join(told.words).count(shown) >= 3
    assert not re.search("[\x1b\u202e\ufeff]", file.read_text())


def test_lines_that_tell_are_marked_the_worst_window_has_an_edge_and_long_functions_are_cut(
    scanned: Scan,
) -> None:
    one = scanned.findings[0]
    start = one.function.start_line
    code = "\n".join(f"line {number};" for number in range(200))
    function = dataclasses.replace(
        one.function, window_lines=(start + 100, start + 150), windows=3, end_line=start + 199
    )
    lines = (ScoredLine(start + 120, 0.5), ScoredLine(start + 7, 0.1))
    finding = dataclasses.replace(one, function=function, code=code, lines=lines)
    text = scan_as(dataclasses.replace(scanned, findings=[finding]), "html")
    rows = re.findall(r'<tr(?: class="(\w+)")?><td class="n" data-n="(\d+)">', text)
    assert len(rows) == page.CODE_LINES
    marked = [int(number) for kind, number in rows if kind == "marked"]
    assert marked == [start + 7, start + 120]
    window = [int(number) for kind, number in rows if kind == "window"]
    assert window == [start + 100, start + 101, start + 119, start + 121]
    assert "Marked: the lines that told the model most." in text
    assert text.count("⋮") >= 2


def test_lines_are_counted_as_compilers_do_whatever_else_ends_a_line_in_unicode(
    scanned: Scan,
) -> None:
    one = scanned.findings[0]
    code = 'f(void)\n{\n\f\n    char *s = "\u2028 \x85 \v";\n    return s;\n}'
    finding = dataclasses.replace(one, code=code, lines=())
    scan = dataclasses.replace(scanned, findings=[finding])
    last = one.function.start_line + 5
    assert f'data-n="{last}"></td><td>}}</td>' in scan_as(scan, "html")
    assert f"{last} | }}" in scan_as(scan, "table")


def test_of_many_findings_the_worst_have_code_others_a_line_and_the_rest_is_counted(
    scanned: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "SHOWN", 2)
    monkeypatch.setattr(page, "LISTED", 3)
    text = scan_as(scanned, "html")
    assert text.count("<article>") == 2
    assert text.count('<table class="list">') == 1
    assert len(re.findall(r'<tr><td>\s*<span class="level', text)) == 3
    assert f"{len(scanned.findings) - 5} findings more; --format json has all." in text


def test_a_budget_and_what_is_known_are_said(scanned: Scan) -> None:
    known = dataclasses.replace(scanned.findings[0], known="it is in found.json")
    scan = dataclasses.replace(
        scanned, findings=[known, *scanned.findings[1:]], compared=True, budget=1
    )
    text = scan_as(scan, "html")
    assert f"<h1>{len(scanned.findings) - 1} new findings</h1>" in text
    assert "The budget of 1 is spent" in text
    assert "1 finding already known" in text
    nothing = scan_as(dataclasses.replace(scanned, findings=[]), "html")
    assert "<h1>Nothing was found</h1>" in nothing
