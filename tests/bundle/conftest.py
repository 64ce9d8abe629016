from __future__ import annotations

from pathlib import Path

import pytest

import enstack
from enstack.run_folder import RunFolder


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundle-scratch")


@pytest.fixture(scope="session")
def bundle(ensemble: tuple[RunFolder, list[str]], scratch: Path) -> Path:
    """A stack of an ensemble as a bundle that no test changes."""
    return enstack.export(ensemble[0].path, scratch / "bundle", name="lr", local_dir=scratch)
