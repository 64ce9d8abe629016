"""The stacking stage as a whole: in which order it looks at what, and that all it keeps is used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import enstack
from enstack.base_model_folder import BaseModelFolder
from enstack.config import RunConfig
from enstack.data.functions import Functions, read_data
from enstack.pipeline import run_pipeline
from enstack.run_folder import RunFolder
from enstack.stacking import declarations, stage
from enstack.stacking.candidates import Candidate, candidates
from enstack.stacking.declarations import DECLARED, MEASURED, declare
from enstack.stacking.word_counts import WordCounts
from enstack.storage.manifest import read_manifest, write_manifest
from tests.support.pipeline_runs import changed


def test_what_is_compared_is_written_down_before_anything_that_is_said_of_test_is_read(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read, words = BaseModelFolder.read_probabilities, WordCounts.predict_proba

    def declared_before(split: str) -> None:
        asked.append(split)
        # In the folder that will take the place of stacking/.
        written = list(Path(config.run_dir).glob("*stacking*/selection.json"))
        if split == "test":
            assert written, "test is read before the comparison is declared"

    def reading(self: BaseModelFolder, split: str, ids: np.ndarray) -> Any:
        declared_before(split)
        return read(self, split, ids)

    def counting(self: WordCounts, functions: Sequence[Functions]) -> np.ndarray:
        splits = {str(one.ids[0]).split("/")[0] for one in functions}
        declared_before("test" if "test" in splits else "other")
        return words(self, functions)

    monkeypatch.setattr(BaseModelFolder, "read_probabilities", reading)
    monkeypatch.setattr(WordCounts, "predict_proba", counting)
    run_pipeline(config)
    # It has looked: the meta rows by models and by words first, then both on test.
    assert asked.index("test") >= 2
    assert asked.count("test") == 2
    manifest = read_manifest(Path(config.run_dir) / "stacking")
    assert manifest is not None
    stored = json.loads((Path(config.run_dir) / "stacking" / "selection.json").read_text())
    assert manifest["declared"] == stored["comparison"]


@pytest.mark.parametrize(
    "label_mode", ["multilabel", pytest.param("cwe_or_clean", marks=pytest.mark.slow)]
)
def test_whatever_may_be_chosen_is_kept_and_judges_new_functions_as_it_judged_test(
    config: RunConfig,
    two_models: list[str],
    label_mode: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def every(names: Sequence[str], meta_classifiers: Sequence[str], _: Any) -> list[Candidate]:
        return [one for one in candidates(names, meta_classifiers) if one.kind != "base"]

    monkeypatch.setattr(stage, "shown", every)
    asked = changed(config, base_models=two_models, label_mode=label_mode, meta_classifiers=["lr"])
    run_pipeline(asked)
    run = RunFolder(Path(asked.run_dir))
    with np.load(run.stacking.test_probabilities) as arrays:
        stored = dict(arrays)
    texts = _test_functions(asked)
    names = [key for key in stored if key.startswith(("vote:", "stack:"))]
    assert len(names) == 4 + 6
    for name in names:
        model = enstack.load(run.path, name)
        assert {one.name for one in model.base_models} <= {Path(one).name for one in two_models}
        if "@" in name:
            assert len(model.base_models) == 1
        np.testing.assert_allclose(model.predict_proba(texts), stored[name], atol=1e-5, rtol=0)


def _test_functions(config: RunConfig) -> list[str]:
    data = read_data(Path(config.data_dir), label_mode=config.label_mode)
    return [str(text) for text in data.splits["test"].sources.to_pylist()]


def test_a_comparison_that_is_declared_anew_is_told_though_stacks_and_report_were_deleted(
    finished_run: RunConfig,
) -> None:
    run = RunFolder(Path(finished_run.run_dir))
    first = json.loads(run.stacking.selection.read_text())["comparison"]

    def stacked_anew(measure: str) -> Any:
        shutil.rmtree(run.stacking.path)
        shutil.rmtree(run.report)
        return run_pipeline(changed(finished_run, primary_measure=measure)).verdict

    again = stacked_anew("macro_f1")
    assert again.declared.before == []
    other = stacked_anew("accuracy")
    assert other.declared.before == [first]
    (told,) = [text for text in other.caveats if "take it as explored" in text]
    assert f"Declared earlier: macro-F1 of {again.candidate_title} against" in told
    assert told in json.loads(run.report_data.read_text())["verdict"]["caveats"]
    assert told in run.report_page.read_text().replace("&#39;", "'")
    # What was seen of either stays seen.
    assert [one["measure"] for one in stacked_anew("macro_f1").declared.before] == ["accuracy"]
    # A declaration whose figures were never written binds nobody; half a line is no declaration.
    with run.events_file.open("a") as events:
        events.write(
            '{"time": "x", "event": "comparison_declared", "comparison": {"a": 1}}\n{"ti\n'
        )
    assert {"a": 1} not in stacked_anew("macro_f1").declared.before


def test_stacks_of_another_run_in_the_place_of_its_own_declare_nothing_for_a_run(
    tmp_path: Path,
) -> None:
    run, ours = RunFolder(tmp_path), {"data": "d", "probabilities": {"a": "1"}}
    theirs = {**ours, "probabilities": {"a": "2"}}

    def stacked(declared: dict[str, Any], made_from: dict[str, Any]) -> None:
        run.stacking.path.mkdir(exist_ok=True)
        before = [{"c": 0}]
        write_manifest(
            run.stacking.path, declared=declared, declared_before=before, made_from=made_from
        )

    stacked({"c": 1}, theirs)
    assert declare(run, {"c": 2}, ours) == [{"c": 0}, {"c": 1}], "no events: lost, or older"
    run.log(MEASURED)
    assert declare(run, {"c": 2}, ours) == []
    run.log(MEASURED)
    # Models that were trained again were compared before all the same: the events know of them.
    run.log(DECLARED, comparison={"c": 1}, of=declarations._of(theirs))
    run.log(MEASURED)
    assert declare(run, {"c": 2}, ours) == [{"c": 0}, {"c": 1}]
