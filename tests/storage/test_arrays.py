"""Arrays of a file: what they hold, or a reason in words; never a pickle, never a bomb."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enstack.errors import CheckpointError
from enstack.run_folder import RunFolder
from enstack.storage.arrays import read_arrays


class Runs:
    """What a pickle would run if it were loaded."""

    def __reduce__(self) -> Any:
        return (Path("ran").touch, ())


def saved(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


WHOLE = saved(ids=np.array(["train/0"]), probabilities=np.ones((1, 2)))


def bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ids.npy", bytes(1 << 27))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (saved(ids=np.array([Runs()], dtype=object)), "Python objects and not numbers"),
        (saved(ids=np.array([None, "a"], dtype=object)), "Python objects and not numbers"),
        (saved(other=np.ones(3)), "ids is not a file in the archive"),
        (bomb(), "would unpack to 134,217,728 bytes"),
        (WHOLE[:200], "."),
        (b"", "."),
        (b"\x80\x04N.", "Python objects and not numbers"),
    ],
    # Named: an archive holds the second of its making, and each process of the suite makes its own.
    ids=["an object", "objects", "another name", "a bomb", "cut", "empty", "a pickle"],
)
def test_what_is_no_array_is_refused_with_its_reason_and_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "base_models" / "tiny" / "probabilities" / "test.npz"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_arrays(path, ("ids",))
    with pytest.raises(CheckpointError, match=r"test.npz must hold .*Move .*elsewhere .*anew"):
        RunFolder(tmp_path).base_model("tiny").read_probabilities("test", np.array(["test/0"]))
    assert not Path("ran").exists()


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_ends_in_one_kind_of_error_or_in_arrays(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.npz"
    path.write_bytes(WHOLE[:place] + bytes([WHOLE[place] ^ change]) + WHOLE[place + 1 :])
    try:
        arrays = read_arrays(path, ("ids", "probabilities"))
    except ValueError:
        return
    assert all(values.dtype != object for values in arrays.values())
