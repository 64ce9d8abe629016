"""The code of docs/python.md runs, from top to bottom, on the toy data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def code_of(page: str) -> list[str]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_code_of_the_tutorial_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = code_of("docs/python.md")
    assert len(blocks) >= 5
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    exec("\n".join(blocks), {"__name__": "__main__"})
    out = capsys.readouterr().out
    assert "(2, 6) float32" in out
    assert "True []" in out
    assert (tmp_path / "my_run" / "report" / "report.html").exists()


def test_the_readmes_code_calls_only_what_the_tutorial_calls() -> None:
    calls = re.compile(r"\b(?:enstack|model|results)\.(\w+)")
    tutorial = set(calls.findall("".join(code_of("docs/python.md"))))
    for readme in ("README.md", "README.vi.md"):
        (code,) = code_of(readme)
        assert set(calls.findall(code)) <= tutorial, readme
