"""The stand-in for google.colab does what the real one does, as far as the notebook asks."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FAKE_COLAB = Path(__file__).parent / "fake_colab"


@pytest.fixture
def colab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.syspath_prepend(FAKE_COLAB)
    monkeypatch.setenv("FAKE_DRIVE", str(tmp_path / "drive"))
    before = set(sys.modules)
    yield importlib.import_module("google.colab")
    for name in set(sys.modules) - before:  # for other tests this is no Colab
        if name.split(".")[0] == "google":
            del sys.modules[name]


@pytest.fixture
def mountpoint(tmp_path: Path) -> Path:
    return tmp_path / "mounted"


def test_the_signatures_are_the_real_ones(colab: Any) -> None:
    assert str(inspect.signature(colab.drive.mount)) == (
        "(mountpoint, force_remount=False, timeout_ms=120000, readonly=False)"
    )
    assert str(inspect.signature(colab.drive.flush_and_unmount)) == "(timeout_ms=86400000)"
    assert str(inspect.signature(colab.userdata.get)) == "(key)"


def test_what_is_on_the_drive_outlives_its_mount(
    colab: Any, mountpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    colab.drive.mount(str(mountpoint))
    (mountpoint / "MyDrive" / "kept.txt").write_text("kept")
    colab.drive.flush_and_unmount()
    assert list(mountpoint.iterdir()) == []
    colab.drive.flush_and_unmount()
    colab.drive.mount(str(mountpoint))
    assert (mountpoint / "MyDrive" / "kept.txt").read_text() == "kept"
    assert capsys.readouterr().out == (
        f"Mounted at {mountpoint}\n"
        "Drive not mounted, so nothing to flush and unmount.\n"
        f"Mounted at {mountpoint}\n"
    )


def test_a_second_mount_says_so_and_can_be_forced(
    colab: Any, mountpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for force in (False, False, True):
        colab.drive.mount(str(mountpoint), force_remount=force)
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == third == f"Mounted at {mountpoint}"
    assert second.startswith(f"Drive already mounted at {mountpoint}; to attempt to forcibly")


def test_a_folder_with_files_is_no_mountpoint(colab: Any, mountpoint: Path) -> None:
    mountpoint.mkdir()
    (mountpoint / "mine.txt").touch()
    with pytest.raises(ValueError, match=r"^Mountpoint must not already contain files$"):
        colab.drive.mount(str(mountpoint))


def test_secrets_are_found_refused_or_absent(colab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SECRETS", json.dumps({"HF_TOKEN": "hf_1", "LOCKED": None}))
    assert colab.userdata.get("HF_TOKEN") == "hf_1"
    with pytest.raises(colab.userdata.NotebookAccessError, match="access to secret LOCKED"):
        colab.userdata.get("LOCKED")
    with pytest.raises(colab.userdata.SecretNotFoundError, match="Secret OTHER does not exist"):
        colab.userdata.get("OTHER")
