"""What another process shows, told in a file and shown again: the same bars, words, trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enstack.progress import feed as module
from enstack.progress.bars import Bar
from enstack.progress.data_wait import DataWait
from enstack.progress.feed import Feed, FeedFollower, FeedScreen, Said
from enstack.progress.screen import LastCheckpoint, Part, TrainingView, shown_on, warn, watch


class Recorder:
    """A screen that notes all that is shown on it."""

    def __init__(self) -> None:
        self.shown: list[tuple[Any, ...]] = []
        self.bars: list[Bar] = []
        self.views: list[TrainingView] = []

    def open(self, bar: Bar) -> bool:
        self.bars.append(bar)
        self.shown.append(("open", bar.level, bar.description, bar.total, bar.unit, bar.parts))
        return True

    def redraw(self, bar: Bar) -> bool:
        self.shown.append(("at", bar.description, bar.done))
        return True

    def close(self, bar: Bar) -> None:
        self.shown.append(("close", bar.description, bar.done, bar.postfix))

    def watch(self, view: TrainingView) -> None:
        self.views.append(view)
        self.shown.append(("watch", view.name, view.batches, view.epochs))

    def warn(self, text: str) -> None:
        self.shown.append(("warn", text))


class Waited(DataWait):
    def share(self) -> float:
        return 0.25


SAVED = LastCheckpoint("epoch 1, batch 2", 1000.0, True, "")


def work(history: list[dict[str, Any]]) -> None:
    """A small run, with all that is ever shown of one."""
    parts = [Part("tiny-a", epochs=1), Part("Report")]
    with Bar(2, "Pipeline", unit="stage", level="pipeline", parts=parts) as pipeline:
        watch(TrainingView("tiny-a", history, 3, 1, lambda: SAVED))
        with Bar(1, "tiny-a", unit="epoch", level="epoch") as epochs:
            bar = Bar(3, "Epoch 1 [Train]", seconds_each=True, examples=4, wait=Waited())
            with bar:
                for batch in range(3):
                    history.append({"event": "step", "batch": batch, "loss": 0.5})
                    bar.show(loss=0.5)
                    bar.advance()
            history.append({"event": "epoch", "epoch": 1})
            epochs.advance()
        warn("⚠️  tiny-a has collapsed")
        pipeline.advance(2)


def test_bars_trainings_and_warnings_are_shown_as_they_are_in_the_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.0)  # every batch is told
    there, here = Recorder(), Recorder()
    with shown_on(there):
        work([])
    history: list[dict[str, Any]] = []
    with Feed(tmp_path / "feed") as feed, shown_on(FeedScreen(feed)):
        work(history)
    with shown_on(here):
        FeedFollower(tmp_path / "feed").look()
    assert here.shown == there.shown
    assert list(here.views[0].history) == history
    assert here.views[0].last_checkpoint() == SAVED
    (batches,) = (bar for bar in here.bars if bar.examples)
    assert batches.seconds_each
    assert batches.wait is not None
    assert batches.wait.share() == 0.25


def test_what_is_said_is_said_again_where_it_was_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Feed(tmp_path / "feed") as feed:
        said = Said(feed)
        print("▶ Data:", 42, "functions", file=said)
        print("two\nlines", file=said)
        said.write("a line that has no end")
    print("after the end", file=said)
    FeedFollower(tmp_path / "feed").look()
    assert capsys.readouterr().out == "▶ Data: 42 functions\ntwo\nlines\n"


def test_a_line_that_is_not_whole_yet_waits_for_its_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, follower = tmp_path / "feed", FeedFollower(tmp_path / "feed")
    follower.look()  # nothing is there yet
    line = json.dumps({"what": "said", "text": "vi phạm"}, ensure_ascii=False).encode() + b"\n"
    for byte in line + line:  # letters of several bytes among them
        with path.open("ab") as file:
            file.write(bytes([byte]))
        follower.look()
    assert capsys.readouterr().out == "vi phạm\nvi phạm\n"


def test_bars_of_a_process_that_is_gone_end(tmp_path: Path) -> None:
    here = Recorder()
    with Feed(tmp_path / "feed") as feed, shown_on(FeedScreen(feed)):
        bar = Bar(5, "Tokenizing").__enter__()
        bar.advance(2)
    follower = FeedFollower(tmp_path / "feed")
    with shown_on(here):
        follower.look()
        follower.end()
    assert here.shown[-1] == ("close", "Tokenizing", 2, "")


def test_a_long_bar_is_told_a_few_times_a_second_and_at_its_end(tmp_path: Path) -> None:
    with (
        Feed(tmp_path / "feed") as feed,
        shown_on(FeedScreen(feed)),
        Bar(10_000, "Reading") as bar,
    ):
        for _ in range(10_000):
            bar.advance()
    lines = [json.loads(line) for line in (tmp_path / "feed").read_text().splitlines()]
    assert len(lines) < 100
    assert [one["done"] for one in lines if one["what"] == "at"][-1] == 10_000
