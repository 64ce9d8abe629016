"""A run's own test functions in files of C, scanned with the run's model."""

from __future__ import annotations

from pathlib import Path

import pytest

from enstack.bundle.opening import OpenedModel, open_model
from enstack.run_folder import RunFolder
from enstack.scanning.scan import Scan, scan_paths

Ensemble = tuple[RunFolder, list[str]]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scan-cache")


@pytest.fixture(scope="session")
def opened(ensemble: Ensemble, cache: Path) -> OpenedModel:
    return open_model(ensemble[0].path, cache_dir=cache)


@pytest.fixture
def tree(ensemble: Ensemble, tmp_path: Path) -> Path:
    """The run's test functions in files of C, with a head and a neighbour, two in a file."""
    folder, texts = tmp_path / "tree", ensemble[1]
    for place in range(0, len(texts), 2):
        file = folder / f"part{place % 4}" / f"{place}.c"
        file.parent.mkdir(parents=True, exist_ok=True)
        pair = "\n\n".join(f"static int\n{text}" for text in texts[place : place + 2])
        file.write_text(f"#include <stdio.h>\n\n{pair}\n")
    return folder


@pytest.fixture
def scanned(tree: Path, opened: OpenedModel, cache: Path) -> Scan:
    return scan_paths([tree], opened, cache_dir=cache)
