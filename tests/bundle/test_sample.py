"""A scan without a model is judged by the toy model of the package, and says so aloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import enstack
from enstack.bundle.sample import SAMPLE
from enstack.stacking.skops_files import SkopsFile
from tests.support.command_line import enstack_here

CODE = "int f(char *to, const char *from)\n{\n    strcpy(to, from);\n    return 0;\n}\n"


def test_a_first_scan_needs_no_model_and_says_that_a_toy_judges(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(CODE)
    done = enstack_here("scan", tmp_path / "a.c", "--local-dir", tmp_path / "local")
    assert done.returncode == 0, done.stderr
    assert "TOY MODEL" in done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    assert "It knows made-up flaws alone: what it says of real code means nothing." in told
    assert "Learned from 600 functions that are made up" in told


def test_a_file_of_a_newer_scikit_learn_gets_the_settings_that_this_one_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of 1.6, which reads multi_class; a file of 1.9 has none."""
    of_ours = SkopsFile._content

    def older(self: SkopsFile, path: Path) -> dict[str, Any]:
        content = of_ours(self, path)
        for one in content["estimators"]:
            for estimator in getattr(one, "estimators_", [one]):
                del estimator.solver, estimator.fit_intercept
        return content

    expected = enstack.load(SAMPLE).predict_proba([CODE])
    monkeypatch.setattr(SkopsFile, "_content", older)
    assert (enstack.load(SAMPLE).predict_proba([CODE]) == expected).all()


def test_the_toy_model_is_whole_small_and_better_than_chance() -> None:
    """Where this fails as a bundle's form has changed: python -m tools.sample_bundle."""
    model = enstack.load(SAMPLE)
    assert model.predict_proba([CODE]).shape == (1, 6)
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 300_000
    assert "TF-IDF + logistic regression | 0.670 |" in (SAMPLE / "README.md").read_text()
