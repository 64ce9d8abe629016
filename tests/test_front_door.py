"""The front door: what `import enstack` offers, and a finished run that judges new functions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import enstack
from enstack.config import RunConfig
from enstack.errors import CheckpointError, ConfigError, DataError
from enstack.run_folder import RunFolder
from tests.support.command_line import enstack_here, refused

ROOT = Path(__file__).parent.parent
FUNCTION = "int f(char *s) { char b[8]; strcpy(b, s); return b[0]; }"
# Written to after the report: nothing that load gives depends on it.
NOT_LOADED = {"events.jsonl"}


def test_importing_enstack_needs_no_third_party() -> None:
    # -S: without site-packages; -I: nothing from the environment either.
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import enstack; enstack.run; dir(enstack)"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_what_enstack_offers_is_there_and_nothing_else_is_made_up() -> None:
    for name in enstack.__all__:
        assert callable(getattr(enstack, name)), name
        assert name in dir(enstack)
    with pytest.raises(AttributeError, match="no attribute 'scann'"):
        enstack.scann  # noqa: B018 - looking is the test


def stored(run: RunFolder) -> dict[str, np.ndarray]:
    """The probabilities of every model on the test split, as the run stored them."""
    with np.load(run.stacking.test_probabilities) as arrays:
        return {name: arrays[name] for name in arrays.files}


def loadable(run: RunFolder) -> list[str]:
    kinds = ("base:", "vote:", "stack:", "baseline:tfidf_lr")
    return [name for name in stored(run) if name.startswith(kinds)]


@pytest.mark.parametrize("which", ["ensemble", "flags_ensemble"])
def test_a_loaded_model_gives_for_test_functions_the_stored_probabilities(
    which: str, request: pytest.FixtureRequest
) -> None:
    run, texts = request.getfixturevalue(which)
    for name in loadable(run):
        model = enstack.load(run.path, name)
        probabilities = model.predict_proba(texts)
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities, stored(run)[name], atol=1e-6, rtol=0)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_each_function_has_its_own_probabilities_whatever_stands_beside_it(
    data: st.DataObject, ensemble: Any, loaded_stack: Any
) -> None:
    run, texts = ensemble
    rows = data.draw(st.lists(st.sampled_from(range(len(texts))), min_size=1, max_size=12))
    found = loaded_stack.predict_proba([texts[row] for row in rows])
    expected = stored(run)[loaded_stack.name][rows]
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)


@pytest.fixture(scope="module")
def loaded_stack(ensemble: Any) -> Any:
    return enstack.load(ensemble[0].path, "lr")


def test_by_default_the_model_that_did_best_by_cross_validation_is_loaded(
    ensemble: Any,
) -> None:
    run, _ = ensemble
    scores = json.loads(run.stacking.selection.read_text())["scores"]
    assert set(scores) > set(loadable(run))
    # Counted words are an alternative to compare with: they are loaded by name alone.
    assert scores.pop("baseline:tfidf_lr") is not None
    assert scores[enstack.load(run.path).name] == max(scores.values())


def test_predict_names_the_class_of_the_highest_probability(loaded_stack: Any) -> None:
    said = loaded_stack.predict([FUNCTION])
    best = loaded_stack.predict_proba([FUNCTION])[0].argmax()
    assert said.tolist() == [loaded_stack.class_names[best]]


def test_predict_gives_flags_by_the_thresholds_of_the_run(flags_ensemble: Any) -> None:
    run, texts = flags_ensemble
    model = enstack.load(run.path, "lr")
    thresholds = json.loads(run.stacking.thresholds.read_text())["stack:lr"]
    expected = stored(run)["stack:lr"] >= np.array(thresholds)
    assert (model.predict(texts) == expected).mean() > 0.999  # a rounding may lie on a threshold


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        (FUNCTION, r"must be a list of texts.*write \[text\]"),
        ({"code": FUNCTION}, "must be a list of texts, found a dict"),
        ({FUNCTION}, "must be a list of texts, found a set"),
        (pd.DataFrame({"code": [FUNCTION]}), "must be a list of texts, found a DataFrame"),
        (None, "must be a list of texts, found a NoneType"),
        ([FUNCTION, "  \n"], "not blank, found '  .n' at place 1"),
        ([None], "must be a text.*found None at place 0"),
        ([b"int f();"], "must be a text"),
    ],
)
def test_what_is_no_list_of_functions_is_refused(
    loaded_stack: Any, functions: Any, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        loaded_stack.predict_proba(functions)


def test_any_sequence_of_texts_is_read_once_and_in_order(loaded_stack: Any) -> None:
    texts = [FUNCTION, "int g(void) { return 2; }"]
    expected = loaded_stack.predict_proba(texts)
    for functions in (iter(texts), tuple(texts), np.array(texts), pd.Series(texts)):
        np.testing.assert_array_equal(loaded_stack.predict_proba(functions), expected)


def test_a_model_is_told_in_a_line(loaded_stack: Any) -> None:
    assert len(repr(loaded_stack)) < 600


def test_no_functions_have_no_probabilities(loaded_stack: Any) -> None:
    assert loaded_stack.predict_proba([]).shape == (0, len(loaded_stack.class_names))


def test_lone_surrogates_very_long_functions_and_comments_alone_are_judged(
    loaded_stack: Any,
) -> None:
    odd = ["int f() { return '\ud800'; }", FUNCTION * 500, "/* nothing */", "f(\x00)"]
    probabilities = loaded_stack.predict_proba(odd)
    assert np.isfinite(probabilities).all()


def test_a_name_that_the_run_does_not_have_is_refused_with_those_it_has(ensemble: Any) -> None:
    run, _ = ensemble
    with pytest.raises(ConfigError, match=r"must be one of base:.*vote:mean, .*stack:lr.*'svn'"):
        enstack.load(run.path, "svn")


def test_an_unensemble_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"absent is nothing\. Name the run_dir"):
        enstack.load(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"file is a file\. Name the run_dir"):
        enstack.load(tmp_path / "file")
    # Advice to run a config.json that is not there would lead nowhere.
    with pytest.raises(CheckpointError, match=r"must hold a finished run.*no run has begun there"):
        enstack.load(tmp_path)
    (tmp_path / "config.json").touch()
    with pytest.raises(CheckpointError, match=r"must hold a finished run.*run it to its end"):
        enstack.load(tmp_path)


def every_file(run: Path) -> list[Path]:
    return [path for path in sorted(run.rglob("*")) if path.is_file()]


def test_a_bit_flipped_in_any_file_of_the_run_is_refused(ensemble_copy: Any) -> None:
    run = ensemble_copy
    random = np.random.default_rng(5)
    for path in every_file(run.path):
        if path.name in NOT_LOADED:
            continue
        whole = path.read_bytes()
        for place in {0, len(whole) - 1, int(random.integers(len(whole)))}:
            changed = bytearray(whole)
            changed[place] ^= 1 << int(random.integers(8))
            path.write_bytes(bytes(changed))
            with pytest.raises(CheckpointError, match=r"must be|is not as|must hold"):
                enstack.load(run.path, "lr")
        path.write_bytes(whole)
    enstack.load(run.path, "lr")


def test_a_file_of_the_run_that_is_gone_is_refused(ensemble_copy: Any) -> None:
    run = ensemble_copy
    for path in every_file(run.path):
        if path.name in NOT_LOADED or (path.name == "manifest.json" and "checkpoint" in str(path)):
            continue
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(CheckpointError):
            enstack.load(run.path, "lr")
        path.write_bytes(whole)


def test_a_file_that_the_run_did_not_write_into_a_best_model_is_refused(ensemble_copy: Any) -> None:
    best = ensemble_copy.base_model("micro").best_model
    (best / "added_tokens.json").write_text('{"strcpy": 7}')
    with pytest.raises(
        CheckpointError, match=r"nothing but what its run wrote.*added_tokens\.json"
    ):
        enstack.load(ensemble_copy.path, "lr")


def test_a_report_is_not_written_again_over_what_has_changed_since(ensemble_copy: Any) -> None:
    data = json.loads(ensemble_copy.data_file.read_text())
    data["class_names"] = data["class_names"][::-1]
    ensemble_copy.data_file.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match="data changed since its report"):
        enstack.report(ensemble_copy.path)
    with pytest.raises(CheckpointError, match="data changed since its report"):
        enstack.load(ensemble_copy.path)


def test_a_report_is_not_written_again_beside_a_damaged_stacking_folder(ensemble_copy: Any) -> None:
    ensemble_copy.stacking.selection.write_text("{}")
    with pytest.raises(CheckpointError, match=r"selection\.json"):
        enstack.report(ensemble_copy.path)


def test_the_home_folder_may_be_written_as_a_shell_would_read_it() -> None:
    config = RunConfig(RUN_DIR="~/run", BASE_MODELS=["~/models/x"], LOCAL_DIR=Path("~/scratch"))
    assert config.run_dir == str(Path.home() / "run")
    assert config.base_models == [str(Path.home() / "models" / "x")]
    assert config.local_dir == str(Path.home() / "scratch")
    with pytest.raises(ConfigError, match=r"~no user is no user's home"):
        RunConfig(RUN_DIR="~no user/run")
    with pytest.raises(CheckpointError):
        enstack.load("~no user/run")


def test_loading_executes_no_pickle(ensemble: Any) -> None:
    """Python tells an audit hook of every class or function that a pickle asks for."""
    run, _ = ensemble
    code = (
        "import sys; asked = []\n"
        "sys.addaudithook(lambda event, args: asked.append(args) if 'pickle' in event else None)\n"
        f"import enstack; enstack.load({str(run.path)!r}, 'lr')\n"
        "sys.exit(str(asked) if asked else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("before", "after"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")]
)
def test_waiting_threads_sleep_unless_somebody_has_chosen_otherwise(
    before: dict[str, str], after: str
) -> None:
    others = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    code = "import enstack, os, sys; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**others, **before},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [after, "False"]


@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_path_is_refused_and_never_the_current_folder(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a shell variable that was never set."""
    monkeypatch.chdir(tmp_path)
    for command in ("inspect", "report", "doctor", "toy", "audit", "init", "run"):
        refused(enstack_here(command, path), 2, "found")
    refused(enstack_here("audit", "toy", "--output", path), 2, "A path must name something")
    refused(enstack_here("clean", "--local-dir", path), 2, "local_dir must have a value")
    refused(enstack_here("demo", "--run-dir", path), 2, "run_dir must have a value")
    for call in (enstack.inspect, enstack.report, enstack.load, enstack.doctor):
        with pytest.raises(ConfigError, match="A path must name something, found"):
            call(path)
    assert list(tmp_path.iterdir()) == []


def test_the_report_of_what_is_no_run_advises_nothing_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds none: .* Name a run folder") as error:
        enstack.report(tmp_path)
    assert "elete" not in f"{error.value}"


def test_doctor_of_a_mistyped_path_ends_as_wrong(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"A run is a folder; .*nowhere is none"):
        enstack.api.doctor(tmp_path / "nowhere")
