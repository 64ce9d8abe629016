from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import enstack
from enstack.bundle import int8 as bundle_int8
from enstack.bundle.opening import open_model
from enstack.errors import CheckpointError
from enstack.models import int8
from enstack.models.int8 import Int8Linear, has_int8, in_int8
from enstack.run_folder import RunFolder
from tests.support.command_line import enstack_here, refused
from tests.support.spoilt_bundles import sealed

needs_int8 = pytest.mark.skipif(not has_int8(), reason="this processor has no VNNI instructions")


@pytest.fixture(scope="module")
def quick_bundle(ensemble: tuple[RunFolder, list[str]], scratch: Path) -> Path:
    """A bundle with int8 that no test changes; so few functions may all change their labels."""
    place = scratch / "quick"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle_int8, "MOST_CHANGED", 1.0)
        return enstack.export(ensemble[0].path, place, name="vote", int8=True, local_dir=scratch)


@pytest.fixture
def copy(quick_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(quick_bundle, tmp_path / "copy"))


@needs_int8
def test_a_layer_in_int8_is_near_float32_and_no_token_depends_on_another() -> None:
    generator = torch.Generator().manual_seed(3)
    linear = torch.nn.Linear(48, 20)
    inputs = torch.randn((2, 9, 48), generator=generator)
    inputs[0, 3] = 0  # as a token may be
    inputs[1, 2] *= 1000  # one for all would leave the others nothing
    with torch.inference_mode():
        quick, expected = Int8Linear(linear), linear(inputs)
        found = quick(inputs)
        largest = inputs.abs().amax(dim=-1, keepdim=True)
        assert ((found - expected).abs() <= 0.02 * (largest + 1)).all()
        torch.testing.assert_close(quick(inputs[1:, :3]), found[1:, :3], rtol=0, atol=0)


@needs_int8
def test_a_bundle_predicts_in_int8_alone_and_among_others_the_same(
    ensemble: tuple[RunFolder, list[str]], quick_bundle: Path
) -> None:
    model, texts = enstack.load(quick_bundle), ensemble[1]
    said, exact = (
        one.predict_proba(texts) for one in (model, enstack.load(ensemble[0].path, "vote"))
    )
    assert all(one.quick is not None for one in model.base_models)
    assert 0 < np.abs(said - exact).max() < 0.05
    np.testing.assert_allclose(model.predict_proba(texts[3:4]), said[3:4], atol=1e-3)
    assert len(model.line_scores(texts[:1])[0]) == 1 + texts[0].count("\n")
    assert "validation functions get another label" in (quick_bundle / "README.md").read_text()


@needs_int8
def test_what_changes_too_many_labels_is_not_exported_and_a_line_says_so(
    ensemble: tuple[RunFolder, list[str]],
    tmp_path: Path,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def other(classifier: Any) -> Any:
        quick = in_int8(classifier)
        quick.classifier.out_proj.bias = torch.nn.Parameter(-99 * torch.arange(6.0))
        return quick

    monkeypatch.setattr(bundle_int8, "in_int8", other)
    run = ensemble[0].path
    made = enstack.export(run, tmp_path / "made", name="vote", int8=True, local_dir=scratch)
    assert "get another label, at most one of 1,000 may" in " ".join(
        capsys.readouterr().out.split()
    )
    assert not (made / "int8.json").exists()
    assert enstack.load(made).base_models[0].quick is None


@needs_int8
def test_a_machine_without_the_instructions_predicts_in_float32_and_says_so(
    quick_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    quick = open_model(quick_bundle, cache_dir=tmp_path)
    monkeypatch.setattr(int8, "INSTRUCTIONS", ())
    assert enstack.load(quick_bundle).base_models[0].quick is None
    said = " ".join(capsys.readouterr().out.split())
    assert "predicts in float32 here, not in int8: this processor" in said
    # What one road said of a function is not kept for the other.
    assert open_model(quick_bundle, cache_dir=tmp_path).digest != quick.digest


@needs_int8
def test_calibration_is_fitted_again_and_a_scan_takes_it(
    quick_bundle: Path, copy: Path, tmp_path: Path
) -> None:
    before = open_model(quick_bundle, cache_dir=tmp_path).profile.temperature
    stored = json.loads((copy / "int8.json").read_text())
    (copy / "int8.json").write_text(
        json.dumps({**stored, "temperature": 2 * stored["temperature"]})
    )
    sealed(copy)
    after = open_model(copy, cache_dir=tmp_path).profile.temperature
    assert after == pytest.approx(2 * before)


@needs_int8
def test_int8_that_is_damaged_or_answers_otherwise_is_refused(copy: Path) -> None:
    path = copy / "int8.json"
    whole = path.read_text()
    path.write_text(whole.replace("0.", "0.9", 1))
    with pytest.raises(CheckpointError, match=r"int8\.json has"):
        enstack.load(copy)
    stored = json.loads(whole)
    name, said = next(iter(stored["answers"].items()))
    other = {**stored, "answers": {**stored["answers"], name: (np.array(said) + 0.02).tolist()}}
    for content, message in (
        (other, "must say in int8 what it said when it was exported"),
        ({**stored, "answers": {}}, "differ by inf"),
        ({**stored, "temperature": 0}, "temperature: Input should be greater than or equal"),
        ({**stored, "temperature": 1e300}, "temperature: Input should be less than or equal"),
        ({**stored, "answers": {name: [[0.5], [0.5, 0.5]]}}, "must hold a model that answers"),
    ):
        path.write_text(json.dumps(content))
        sealed(copy)
        with pytest.raises(CheckpointError, match=message):
            enstack.load(copy)


def test_where_a_machine_can_not_do_it_nothing_is_made_int8(
    ensemble: tuple[RunFolder, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: Any) -> None:
        raise AttributeError("qlinear_prepack")

    monkeypatch.setattr(bundle_int8, "why_no_int8", lambda: "a GPU is faster without")
    monkeypatch.setattr(bundle_int8, "in_int8", missing)
    tried = bundle_int8.tried_in_int8(enstack.load(ensemble[0].path), None)
    assert tried == bundle_int8.Refused("a GPU is faster without")


def test_counted_words_are_not_exported_in_int8(
    ensemble: tuple[RunFolder, list[str]],
    tmp_path: Path,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bundle_int8, "why_no_int8", lambda: "")
    run = ensemble[0].path
    enstack.export(run, tmp_path / "made", name="tfidf_lr", int8=True, local_dir=scratch)
    assert "it needs base models of RoBERTa's family" in " ".join(capsys.readouterr().out.split())


def test_the_command_asks_for_a_folder() -> None:
    done = enstack_here("export", "run", "--hub", "a/b", "--int8")
    refused(done, 2, "--int8 needs a folder")
