"""What only a GPU can break. `make test-gpu` runs it; nothing else collects this folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from enstack.models.base_models import BaseModel, load_tokenizer
from enstack.toy.tiny_models import TinyModel
from tests.support.gpu_training import SHAPE, write_encoder_with_dropout
from tests.support.micro import Parts, training_data_of

# torch looks once, at the first matrix product: cuBLAS adds in the same order with it only.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Fail at once, in one sentence: a GPU's promises are not kept by skipping them."""
    if not torch.cuda.is_available() and not session.config.option.collectonly:
        pytest.exit(
            "make test-gpu must run on a machine with a GPU that torch can use; torch "
            f"{torch.__version__} sees none here. Take a machine with one, or run make test.",
            returncode=1,
        )


@pytest.fixture(scope="session")
def dropout_parts(toy_data: Any, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Toy functions and an encoder of two layers with dropout everywhere, attention included."""
    return _parts(toy_data, tmp_path_factory.mktemp("encoder") / "dropout", SHAPE)


@pytest.fixture(scope="session")
def wide_parts(toy_data: Any, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """The same with four layers of RoBERTa-base's, whose attention takes other kernels."""
    wide = TinyModel(vocabulary=300, hidden=768, layers=4, heads=12)
    return _parts(toy_data, tmp_path_factory.mktemp("encoder") / "wide", wide)


def _parts(toy_data: Any, folder: Path, shape: TinyModel) -> Parts:
    write_encoder_with_dropout(folder, toy_data.splits["train"].sources.to_pylist(), shape)
    model = BaseModel(folder.name, str(folder))
    tokenizer = load_tokenizer(model)
    return model, tokenizer, training_data_of(toy_data, tokenizer, folder.parent)


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a measured figure past pytest's capture: it is for the reader, nothing is asserted."""

    def print_it(line: str) -> None:
        with capsys.disabled():
            print(f"\n   {line}", end="", flush=True)

    return print_it
