from __future__ import annotations

import re

import pytest

from enstack.progress import bars
from enstack.progress.bars import Bar
from enstack.progress.screen import Part, TrainingView, shown_on, watch
from enstack.progress.timed_bars import TimedBars

PARTS = (Part("tiny-a", epochs=2), Part("tiny-b", epochs=2), Part("Stacking"), Part("Report"))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What two trainings of two epochs of ten minutes each print where there is no terminal."""
    now = [0.0]
    monkeypatch.setattr(bars.time, "perf_counter", lambda: now[0])
    with shown_on(TimedBars()), Bar(4, "Pipeline", level="pipeline", parts=PARTS) as pipeline:
        for name in ("tiny-a", "tiny-b"):
            watch(TrainingView(name, [], batches=10, epochs=2, last_checkpoint=lambda: None))
            with Bar(2, name, unit="epoch", level="epoch") as epochs:
                epochs.advance(0)  # as of a training that begins
                for _ in range(2):
                    with Bar(10, "Epoch [Train]", examples=16) as batches:
                        for _ in range(10):
                            now[0] += 60
                            batches.advance()
                            batches.show(loss=0.4567)
                    with Bar(5, "Epoch [Validate]") as validation:
                        validation.advance(5)
                    epochs.advance()
            pipeline.advance()
    return capsys.readouterr().out.splitlines()


def test_behind_a_trainings_figures_stands_how_long_the_whole_run_will_take(
    said: list[str],
) -> None:
    left = [found[1] for line in said if (found := re.search("Train.*run=([^],]+)", line))]
    # Of 40 minutes, beginning with the second batch: the pace of one is needed first.
    assert left[:4] == ["38 min", "37 min", "36 min", "35 min"]
    assert left[-1] == "1 min"
    assert not any("run=" in line for line in said if "Validate" in line)


def test_after_each_epoch_but_the_last_a_line_tells_it(said: list[str]) -> None:
    lines = [line for line in said if line.startswith("⏱️")]
    told = [re.match("⏱️ About (.+) left for the whole run, until about", line) for line in lines]
    assert [one and one[1] for one in told] == ["30 min", "20 min", "10 min"]
