"""A scan's SARIF form is what the standard and GitHub ask for, whatever names say."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from enstack.bundle.opening import OpenedModel
from enstack.bundle.profile import Measured
from enstack.scanning import sarif
from enstack.scanning.findings import ScoredLine
from enstack.scanning.outputs import scan_as
from enstack.scanning.paths import relative_uri, root_of
from enstack.scanning.sarif import FINGERPRINT, scan_sarif
from enstack.scanning.sarif_rules import rules
from enstack.scanning.scan import Scan, scan_paths
from tests.support.github_sarif import as_github_takes_it


def test_a_scan_is_one_run_that_the_standard_and_github_take(scanned: Scan) -> None:
    run = as_github_takes_it(scan_as(scanned, "sarif"))
    assert len(run["results"]) == len(scanned.findings)
    for result, finding in zip(run["results"], scanned.findings, strict=True):
        assert (result["ruleId"], result["level"]) == (finding.class_name, finding.level)
        assert result["partialFingerprints"][FINGERPRINT] == finding.function.fingerprint
    (notes,) = [one["toolExecutionNotifications"] for one in run["invocations"]]
    assert "Learned from 42 functions of toy" in notes[0]["message"]["text"]
    assert scan_sarif(scanned) == scan_sarif(scanned)


def test_a_region_holds_the_function_as_it_stands_in_its_file(scanned: Scan) -> None:
    run = as_github_takes_it(scan_sarif(scanned))
    root = root_of(scanned.named)
    for result, finding in zip(run["results"], scanned.findings, strict=True):
        place = result["locations"][0]["physicalLocation"]
        file = root / unquote_to_bytes(place["artifactLocation"]["uri"]).decode()
        region, lines = place["region"], file.read_text().splitlines(keepends=True)
        within = lines[region["startLine"] - 1 : region["endLine"]]
        within[-1] = within[-1][: region["endColumn"] - 1]
        within[0] = within[0][region["startColumn"] - 1 :]
        assert "".join(within) == finding.code


def test_the_lines_that_told_most_are_related_places_that_the_message_links_to(
    scanned: Scan,
) -> None:
    one = scanned.findings[0]
    numbers = [one.function.start_line + 2, one.function.start_line, one.function.end_line]
    lines = tuple(ScoredLine(number, 0.1) for number in (*numbers, one.function.start_line + 1))
    silent = [dataclasses.replace(other, lines=None) for other in scanned.findings[1:]]
    scan = dataclasses.replace(scanned, findings=[dataclasses.replace(one, lines=lines), *silent])
    first, *others = as_github_takes_it(scan_sarif(scan))["results"]
    links = re.findall(r"\[(\d+)\]\((\d+)\)", first["message"]["text"])
    expected = list(zip(numbers, (1, 2, 3), strict=True))
    assert [(int(line), int(place)) for line, place in links] == expected
    related = [
        (place["physicalLocation"]["region"]["startLine"], place["id"])
        for place in first["relatedLocations"]
    ]
    assert related == expected
    assert not any("relatedLocations" in other for other in others)


def test_what_is_ignored_is_suppressed_in_source_and_every_other_result_is_not(
    scanned: Scan,
) -> None:
    first, *others = scanned.findings
    scan = dataclasses.replace(
        scanned, findings=[dataclasses.replace(first, ignored="by\x1b hand"), *others]
    )
    results = as_github_takes_it(scan_sarif(scan))["results"]
    assert results[0]["suppressions"] == [{"kind": "inSource", "justification": "by? hand"}]
    assert [one["suppressions"] for one in results[1:]] == [[]] * len(others)


def test_of_too_many_results_the_worst_are_kept_and_the_cut_is_said(
    scanned: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sarif, "MOST_RESULTS", 2)
    worst, *others = scanned.findings
    scan = dataclasses.replace(scanned, findings=[dataclasses.replace(worst, ignored=""), *others])
    run = as_github_takes_it(scan_sarif(scan))
    kept = [one["partialFingerprints"][FINGERPRINT] for one in run["results"]]
    # One that is ignored takes no place from one that counts.
    assert kept == [one.function.fingerprint for one in others[:2]]
    (cut,) = [
        one["message"]["text"]
        for one in run["invocations"][0]["toolExecutionNotifications"]
        if one["level"] == "warning"
    ]
    assert cut.startswith(f"The worst 2 of {len(scan.findings)} findings are here.")


HOSTILE = ["a b%20#?.c", "ü[x](1).c", "{0}.c", "line\nend.c", "<b>&amp;.c"]


def test_whatever_files_and_functions_are_called_paths_are_encoded_and_messages_are_text(
    scanned: Scan, opened: OpenedModel, cache: Path, tmp_path: Path
) -> None:
    code = scanned.findings[0].code
    assert code is not None
    body = code[code.index("(") :]
    names = [*map(str.encode, HOSTILE), b"bytes\xff\xfe.c"]
    folder = tmp_path / "-odd %folder"
    folder.mkdir()
    for name in names:
        Path(folder, name.decode("utf-8", "surrogateescape")).write_text(
            f"int A::operator[]{body}\n"
        )
    scan = scan_paths([folder], opened, cache_dir=cache)
    run = as_github_takes_it(scan_sarif(scan))
    uris = [
        one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"]
    ]
    assert {unquote_to_bytes(uri).split(b"/")[-1] for uri in uris} == set(names)
    for result in run["results"]:
        links = len(result.get("relatedLocations", []))
        assert len(re.findall(r"\]\(", result["message"]["text"])) == links
        assert not re.search(r"(?<!\{)\{(?!\{)", result["message"]["text"])
        assert result["message"]["text"].isprintable()
    scan_sarif(scan).encode()


def test_uris_are_of_the_repository_or_else_the_current_folder_or_else_what_is_above_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work/src").mkdir(parents=True)
    (tmp_path / "other/a.c").parent.mkdir()
    (tmp_path / "other/a.c").write_text("")
    monkeypatch.chdir(tmp_path / "work/src")
    root = root_of([Path()])
    assert relative_uri(Path("a.c"), root) == "a.c"
    (tmp_path / "work/.git").mkdir()
    assert relative_uri(Path("a.c"), root_of([Path()])) == "src/a.c"
    root = root_of([Path("../../other/a.c")])
    assert relative_uri(Path("../../other/a.c"), root) == "a.c"
    root = root_of([Path(), tmp_path / "other"])
    assert relative_uri(tmp_path / "other/a.c", root) == "other/a.c"
    assert relative_uri(Path("-"), root_of([Path("-")])) == "stdin"


@pytest.mark.parametrize(
    ("alerts", "right", "told"),
    [(100, 97, "very-high"), (100, 85, "high"), (100, 60, "medium"), (100, 40, "low"),
     (4, 4, "medium"), (1, 1, "low"), (0, 0, "low")],
)  # fmt: skip
def test_a_rules_precision_is_what_its_alerts_on_test_promise_and_few_promise_little(
    opened: OpenedModel, alerts: int, right: int, told: str
) -> None:
    of_class = dict.fromkeys(opened.profile.class_names, (alerts, right))
    measured = Measured(1000, 500, alerts, right, of_class)
    profile = dataclasses.replace(opened.profile, measured=measured)
    assert {rule["properties"]["precision"] for rule in rules(profile)} == {told}
