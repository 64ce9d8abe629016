"""What only a GPU can break. `make test-gpu` runs it; nothing else collects this folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from enstack.models.base_models import BaseModel, load_tokenizer
from tests.support.gpu_training import write_encoder_with_dropout
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
    folder = tmp_path_factory.mktemp("encoder") / "dropout"
    write_encoder_with_dropout(folder, toy_data.splits["train"].sources.to_pylist())
    model = BaseModel("dropout", str(folder))
    tokenizer = load_tokenizer(model)
    return model, tokenizer, training_data_of(toy_data, tokenizer, folder.parent)


@pytest.fixture
def deterministic() -> Iterator[None]:
    """Kernels that add in the same order every time; an operation that has none is an error."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a measured figure past pytest's capture: it is for the reader, nothing is asserted."""

    def print_it(line: str) -> None:
        with capsys.disabled():
            print(f"\n   {line}", end="", flush=True)

    return print_it
