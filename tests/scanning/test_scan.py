"""A scan judges functions of files as its run would, none twice, and says what that is worth."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import enstack
from enstack.bundle.opening import OpenedModel
from enstack.bundle.profile import read_profile, write_profile
from enstack.bundle.profiling import scanning_profile
from enstack.errors import CheckpointError, ConfigError
from enstack.parallel.group import Group, acting_in
from enstack.run_folder import RunFolder
from enstack.scanning import functions_of
from enstack.scanning.judging import Judge
from enstack.scanning.outputs import scan_as
from enstack.scanning.scan import Scan, scan_paths
from enstack.scanning.scan_json import scan_schema
from tests.support.command_line import enstack_here, refused
from tests.support.processes import led
from tests.support.scans import Ensemble


def test_functions_in_files_get_the_calibrated_probabilities_that_the_run_has_stored(
    scanned: Scan, tree: Path, ensemble: Ensemble, opened: OpenedModel, cache: Path
) -> None:
    run, texts = ensemble
    assert len(scanned.functions) == len(texts)
    cut = [f"{one.text}\n" for one in functions_of(tree).functions]
    assert sorted(cut) == sorted(texts)
    with np.load(run.stacking.test_probabilities) as stored:
        expected = opened.profile.calibrated(stored[opened.profile.name])
    judge = Judge(opened, cache)
    found = [judge.judged(text).first for text in texts]
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    assert len({one.fingerprint for one in scanned.functions}) == len(scanned.functions)


def test_several_processes_say_what_one_says(
    scanned: Scan, tree: Path, ensemble: Ensemble, tmp_path: Path
) -> None:
    asked: list[str] = []

    def scan(group: Group) -> Scan:
        tell = group.tell

        def noted(value: Any) -> None:
            asked.append(value["do"])
            tell(value)

        group.tell = noted  # type: ignore[method-assign]
        with acting_in(group):
            return enstack.scan(tree, ensemble[0].path, local_dir=tmp_path / "scratch")

    said = led(2, scan)
    assert scan_as(said, "json") == scan_as(scanned, "json")
    assert "predict" in asked


def test_a_tree_that_has_not_changed_is_scanned_again_without_its_model(
    scanned: Scan,
    tree: Path,
    opened: OpenedModel,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(_: OpenedModel) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(OpenedModel, "load", load)
    fresh = dataclasses.replace(opened)
    again = scan_paths([tree], fresh, cache_dir=cache)
    assert again.judged_before == len(again.functions)
    assert scan_as(again, "json") == scan_as(scanned, "json")
    # One function that is new is judged, and all others are not.
    (tree / "new.c").write_text("int fresh(int a) { return a * 7919; }\n")
    with pytest.raises(AssertionError, match="the model was loaded"):
        scan_paths([tree], fresh, cache_dir=cache)


def test_scores_of_a_damaged_cache_are_made_again_and_never_wrong(
    scanned: Scan, tree: Path, opened: OpenedModel, cache: Path, tmp_path: Path
) -> None:
    (kept,) = (cache / "scores").iterdir()
    content = bytearray(kept.read_bytes())
    for place in range(0, len(content), 97):
        content[place] ^= 0xFF
    other = tmp_path / "damaged"
    (other / "scores").mkdir(parents=True)
    # Half a record at the end, as of a process that was killed.
    (other / "scores" / kept.name).write_bytes(bytes(content) + b"half")
    for _ in range(2):
        again = scan_paths([tree], opened, cache_dir=other)
        for one, expected in zip(again.functions, scanned.functions, strict=True):
            np.testing.assert_allclose(one.probabilities, expected.probabilities, atol=1e-6)
    assert again.judged_before == len(again.functions)


def test_json_fits_its_published_schema_and_tells_limits_first(scanned: Scan) -> None:
    schema = scan_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    told = json.loads(scan_as(scanned, "json"))
    jsonschema.Draft202012Validator(schema).validate(told)
    assert told["summary"]["functions"] == len(told["functions"]) == len(scanned.functions)
    assert "Learned from 42 functions of toy" in told["limits"][0]
    assert told["functions"][told["findings"][0]["function"]]["path"].endswith(".c")
    told["findings"][0]["more"] = 1
    with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
        jsonschema.Draft202012Validator(schema).validate(told)


def test_the_table_has_80_columns_and_ends_with_what_the_model_is_worth(scanned: Scan) -> None:
    lines = scan_as(scanned, "table").splitlines()
    assert max(map(len, lines)) <= 80
    assert "judges one function at a time" in " ".join(lines[-5:])
    measured = scanned.profile.measured
    assert measured is not None
    assert f"{measured.right} of {measured.alerts} alert" in " ".join(lines)


def test_findings_are_worst_first_and_those_that_the_rule_alerts(scanned: Scan) -> None:
    order = [finding.order for finding in scanned.findings]
    assert order == sorted(order)
    rule = scanned.profile.rule
    for one in scanned.functions:
        classes = {f.class_name for f in scanned.findings if f.function is one}
        alerts = rule.alerts(np.array([one.probabilities]))[0]
        assert classes == {name for name, a in zip(rule.task.class_names, alerts, strict=True) if a}
        assert "clean" not in classes


def test_what_alerts_are_worth_on_test_is_counted_with_the_rule_that_scans(
    ensemble: Ensemble, flags_ensemble: Ensemble
) -> None:
    for run, _ in (ensemble, flags_ensemble):
        profile = scanning_profile(run.path)
        with np.load(run.stacking.test_probabilities) as stored:
            labels = stored["labels"]
            alerts = profile.rule.alerts(profile.calibrated(stored[profile.name]))
        measured = profile.measured
        assert measured is not None
        alerted = alerts.any(axis=1)
        right = alerted & np.asarray(profile.task.vulnerable(labels))
        assert (measured.alerts, measured.right) == (alerted.sum(), right.sum())
        assert measured.n == len(labels)


def test_flags_are_alerted_as_the_run_decides_them(flags_ensemble: Ensemble) -> None:
    run, _ = flags_ensemble
    profile = scanning_profile(run.path)
    thresholds = np.array(json.loads(run.stacking.thresholds.read_text())[profile.name])
    with np.load(run.stacking.test_probabilities) as stored:
        said = stored[profile.name]
    alerts = profile.rule.alerts(profile.calibrated(said))
    np.testing.assert_array_equal(alerts, said >= thresholds.astype(np.float32))


def test_a_profile_comes_back_out_of_its_folder_as_it_was(
    opened: OpenedModel, tmp_path: Path
) -> None:
    write_profile(tmp_path, opened.profile)
    again = read_profile(tmp_path)
    assert again.digest == opened.profile.digest
    text = "f(int unheard_of) { return unheard_of; }"
    assert opened.profile.familiar is not None
    assert again.familiar is not None
    np.testing.assert_array_equal(
        again.familiar.measure([text]), opened.profile.familiar.measure([text])
    )
    (tmp_path / "training_functions.npz").write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(CheckpointError, match="must hold what scanning knows of its model"):
        read_profile(tmp_path)


def test_a_copy_of_a_training_function_is_told_by_its_id_and_strange_code_as_strange(
    toy_data: Any, opened: OpenedModel, cache: Path, tmp_path: Path
) -> None:
    train = toy_data.splits["train"]
    text = train.sources[3].as_py()
    # Another layout, and a comment: the tokens are the same.
    (tmp_path / "a.c").write_text("int\n" + text.replace(" ", "  ") + "\n/* the end */\n")
    strange = " ".join(f'zq{n}(0x{n:x}, L"ß{n}");' for n in range(400))
    (tmp_path / "b.c").write_text(f"void odd(void) {{ {strange} }}\n")
    copy, odd = scan_paths([tmp_path], opened, cache_dir=cache).functions
    assert copy.near is not None
    assert copy.near.similarity == 1
    same = [one.as_py() == text for one in train.sources]
    assert copy.near.id in train.ids[same]
    assert odd.near is None
    assert any("tokens, training functions have up to" in reason for reason in odd.strange)
    assert any("are in no training function" in reason for reason in odd.strange)


def test_a_run_whose_data_is_gone_still_scans_and_says_what_is_not_known(
    ensemble_copy: RunFolder, tree: Path, tmp_path: Path
) -> None:
    settings = json.loads(ensemble_copy.config_file.read_text())
    profile = scanning_profile(ensemble_copy.path)
    assert not profile.notes
    settings["data_dir"] = str(tmp_path / "gone")
    ensemble_copy.config_file.write_text(json.dumps(settings))
    lacking = scanning_profile(ensemble_copy.path, local_dir=tmp_path / "local")
    assert (lacking.known, lacking.familiar, lacking.thresholds) == (None, None, None)
    assert "the data that it was trained on is not here" in lacking.notes[0]
    assert lacking.temperature == profile.temperature  # the run has stored it
    ensemble_copy.stacking.calibration.unlink()
    assert "not calibrated" in scanning_profile(ensemble_copy.path).notes[1]


def test_the_exit_status_says_whether_a_finding_reaches_the_limit(
    scanned: Scan, tree: Path, ensemble: Ensemble, cache: Path
) -> None:
    common = ("scan", tree, "--model", ensemble[0].path, "--local-dir", cache)
    worst = max(one.probability for one in scanned.findings)
    assert enstack_here(*common).returncode == 0
    assert enstack_here(*common, "--fail-on", f"{worst:.6f}"[:5]).returncode == 1
    assert enstack_here(*common, "--fail-on", "1").returncode == 0
    assert enstack_here(*common, "--fail-on", "note").returncode == 1
    refused(enstack_here(*common, "--fail-on", "87"), 2, "probability from 0 to 1", "'87'")
    refused(enstack_here(*common[:1], tree / "none.c", *common[2:]), 3, "none.c")
    refused(enstack_here("scan", tree, "--model", tree, "--local-dir", cache), 4, "finished run")


def test_several_forms_go_to_their_files_and_one_more_to_standard_output(
    tree: Path, ensemble: Ensemble, cache: Path, tmp_path: Path
) -> None:
    common = ("scan", tree, "--model", ensemble[0].path, "--local-dir", cache)
    table, told = tmp_path / "a.txt", tmp_path / "b.json"
    done = enstack_here(
        *common, "--format", "table", "--output", table, "--format", "json", "--format", "json",
        "--output", told,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(told.read_text())
    assert str(table) in done.stderr
    assert enstack_here(*common, "--output", table, "--output", told).returncode == 0
    assert "Learned from" in table.read_text()


def test_no_file_of_somebody_else_is_written_over(
    tree: Path, ensemble: Ensemble, cache: Path, tmp_path: Path
) -> None:
    common = ("scan", tree, "--model", ensemble[0].path, "--local-dir", cache)
    theirs = tmp_path / "main.json"
    theirs.write_text('{"theirs": 1}')
    refused(enstack_here(*common, "--output", theirs), 2, "is another, and is kept")
    assert theirs.read_text() == '{"theirs": 1}'
    (tmp_path / "link.json").symlink_to(theirs)
    refused(
        enstack_here(*common, "--output", tmp_path / "link.json"), 2, "is a link. Name its target"
    )
    refused(enstack_here(*common, "--output", tmp_path / "no" / "a.json"), 2, "a folder that is")
    refused(enstack_here(*common, "--output", tmp_path / "a.c"), 2, "must end in .json, .sarif")
    refused(enstack_here(*common, "--format", "xml"), 2, "table, json", "'xml'")
    refused(enstack_here(*common, "--format", "json", "--format", "table"), 2, "2 of the one")


COMMENTS = {
    "// enstack: ignore checked by hand": (True, "checked by hand"),
    "/* Enstack: IGNORE[cwe-120, {class_name}] known */": (True, "known"),
    "// enstack: ignore[{class_name}]": (True, ""),
    "// enstack: ignore[CWE-0] of another class": (False, ""),
    'const char *said = "// enstack: ignore";': (False, ""),
    "// enstack: ignored": (False, ""),
}


@pytest.mark.parametrize("comment", COMMENTS)
def test_a_comment_ignores_the_findings_that_it_names_of_its_own_function_alone(
    scanned: Scan, opened: OpenedModel, cache: Path, tmp_path: Path, comment: str
) -> None:
    found = scanned.findings[0]
    assert found.code is not None
    ignores, reason = COMMENTS[comment]
    comment = comment.format(class_name=found.class_name)
    within = found.code.replace("{\n", f"{{ {comment}\n", 1)
    places = {
        f"{comment}\nstatic int\n{found.code}\n": [True],
        f"{comment}\n\n\n\n\nstatic int\n{found.code}\n": [False],
        f"static int\n{found.code}\n{comment}\n": [False],
    }
    if ignores:  # others are judged with the code, which may become no finding
        places[f"static int\n{within}\n"] = [True]
        places[f"static int\n{within}\nstatic int\n{found.code}\n"] = [True, False]
    for text, its_own in places.items():
        (tmp_path / "one.c").write_text(text)
        again = scan_paths([tmp_path / "one.c"], opened, cache_dir=cache)
        told = sorted(again.findings, key=lambda one: one.function.start_line)
        ignored = [one.ignored for one in told if one.class_name == found.class_name]
        assert all(one.probability == found.probability for one in told)
        assert ignored == [reason if ignores and own else None for own in its_own], text
        n_ignored = ignores and sum(its_own)
        assert len(again.counting) == len(again.findings) - n_ignored
        assert ("ignored by a comment" in scan_as(again, "table")) == bool(n_ignored)


def test_python_scans_as_the_command_does(tree: Path, ensemble: Ensemble, cache: Path) -> None:
    found = enstack.scan(tree, ensemble[0].path, local_dir=cache)
    assert found.findings
    assert found.files == len(list(tree.rglob("*.c")))
    with pytest.raises(ConfigError, match="The model must be one of"):
        enstack.scan([tree], ensemble[0].path, name="none", local_dir=cache)
