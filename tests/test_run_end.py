"""What a run says at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from enstack import run_end
from enstack.run_folder import RunFolder


def test_a_session_that_ends_before_a_run_has_begun_has_nothing_to_say_of_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_end, "is_ending", lambda: True)
    run_end.log_end(RunFolder(tmp_path), "run_stopped")
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
