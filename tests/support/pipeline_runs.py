"""Whole runs of the micro model: one that is finished is made once a session, then put back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from enstack.config import RunConfig
from enstack.data.functions import VulnerabilityData, read_data
from enstack.models.base_models import BaseModel
from enstack.pipeline import run_pipeline
from enstack.run_folder import RunFolder
from enstack.toy.tiny_models import TinyModel, write_encoder


@pytest.fixture(scope="session")
def pipeline_settings(
    toy_folder: Path, micro_model: BaseModel, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Two epochs of one micro model; the token cache is shared by all tests of a session."""
    return {
        "data_dir": str(toy_folder),
        "label_mode": "cwe_or_clean",
        "base_models": [micro_model.location],
        "epochs": 2,
        "batch_size": 4,
        "max_length": 32,
        "save_steps": 3,
        "precision": "fp32",
        "meta_classifiers": ["lr", "svm"],  # forests take seconds, and there are dozens
        "local_dir": str(tmp_path_factory.getbasetemp() / "local"),
    }


@pytest.fixture
def config(pipeline_settings: dict[str, Any], tmp_path: Path) -> RunConfig:
    """The settings of a run that nobody has started yet."""
    return RunConfig(**pipeline_settings, run_dir=str(tmp_path / "run"))


def changed(config: RunConfig, **settings: Any) -> RunConfig:
    return RunConfig(**{**config.model_dump(), **settings})


@pytest.fixture(scope="session")
def kept_run(
    pipeline_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunConfig, Path]:
    """A finished run's settings, and a copy of its folder that no test may touch."""
    folder = tmp_path_factory.mktemp("finished")
    config = RunConfig(**pipeline_settings, run_dir=str(folder / "run"))
    run_pipeline(config)
    return config, shutil.copytree(folder / "run", folder / "kept")


@pytest.fixture
def finished_run(kept_run: tuple[RunConfig, Path]) -> RunConfig:
    """The settings of a finished run whose folder is as it was when the run ended.

    It is put back at its own path, for records and the scratch disk know a run by that.
    """
    config, kept = kept_run
    shutil.rmtree(config.run_dir)
    shutil.rmtree(config.scratch_dir, ignore_errors=True)
    shutil.copytree(kept, config.run_dir)
    return config


@pytest.fixture(scope="session")
def two_models(
    micro_model: BaseModel, toy_data: VulnerabilityData, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """The micro model, and another with a mode token after the first one, as UniXcoder has it."""
    shape = TinyModel(vocabulary=280, hidden=16, layers=1, heads=2, mode_token="<encoder-only>")
    folder = tmp_path_factory.mktemp("models") / "with-mode"
    write_encoder(folder, shape, toy_data.splits["train"].sources.to_pylist(), seed=2)
    return [micro_model.location, str(folder)]


def ensemble_run(
    settings: dict[str, Any], folder: Path, **more: Any
) -> tuple[RunFolder, list[str]]:
    """A finished run of several base models that no test changes, and its test functions."""
    config = RunConfig(**{**settings, "run_dir": str(folder / "run"), **more})
    run_pipeline(config)
    data = read_data(Path(config.data_dir), label_mode=config.label_mode)
    return RunFolder(folder / "run"), data.splits["test"].sources.to_pylist()


@pytest.fixture(scope="session")
def ensemble(
    pipeline_settings: dict[str, Any], two_models: list[str], tmp_path_factory: Any
) -> tuple[RunFolder, list[str]]:
    folder = tmp_path_factory.mktemp("ensemble")
    return ensemble_run(pipeline_settings, folder, base_models=two_models)


@pytest.fixture(scope="session")
def flags_ensemble(
    pipeline_settings: dict[str, Any], two_models: list[str], tmp_path_factory: Any
) -> tuple[RunFolder, list[str]]:
    folder = tmp_path_factory.mktemp("flags")
    return ensemble_run(pipeline_settings, folder, base_models=two_models, label_mode="multilabel")


@pytest.fixture
def ensemble_copy(ensemble: tuple[RunFolder, list[str]], tmp_path: Path) -> RunFolder:
    """The ensemble's run in a folder of its own, to be spoilt: load asks nothing of its path."""
    return RunFolder(shutil.copytree(ensemble[0].path, tmp_path / "copy"))


def declared(run_dir: Path) -> set[str]:
    """The combination that was chosen on validation: it has a row, whichever it is."""
    chosen = json.loads((run_dir / "stacking" / "selection.json").read_text())
    return {chosen["comparison"]["candidate"]}
