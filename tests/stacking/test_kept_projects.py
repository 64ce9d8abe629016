"""The projects of test functions, kept for the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from enstack.data.functions import labelled, read_tables
from enstack.stacking.kept_projects import write_projects
from enstack.stacking_folder import StackingFolder
from tests.support.layout_samples import Sample, prime_vul, write_lines


@pytest.mark.parametrize("n_projects", [4, 5])
def test_projects_of_test_are_kept_where_there_are_five(tmp_path: Path, n_projects: int) -> None:
    for start, split in enumerate(("train", "valid", "test")):
        rows = [
            Sample(f"int f{number}() {{ }}", number % 2 == 0, f"p{number % n_projects + 2 * start}")
            for number in range(20)
        ]
        write_lines(tmp_path / f"{split}.jsonl", [prime_vul(one) for one in rows])
    data = labelled(read_tables(tmp_path), label_mode="binary")
    folder = StackingFolder(tmp_path)
    write_projects(data, folder)
    assert folder.projects.exists() == (n_projects == 5)
    if folder.projects.exists():
        with np.load(folder.projects) as stored:
            names = stored["names"][stored["numbers"]].tolist()
            in_train = dict(zip(stored["names"].tolist(), stored["in_train"].tolist(), strict=True))
        assert names == data.splits["test"].groups["project"].to_pylist()
        assert in_train == {"p4": True, "p5": False, "p6": False, "p7": False, "p8": False}
