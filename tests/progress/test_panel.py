"""The notebook's panel: what it shows, what it costs, and that its failure costs nothing."""

from __future__ import annotations

import dataclasses
import itertools
import re
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.display import Image

from enstack.plots import live_curves
from enstack.progress import panel as module
from enstack.progress.bars import Bar
from enstack.progress.data_wait import DataWait
from enstack.progress.panel import Pace, Panel, screen_of_run
from enstack.progress.screen import (
    LastCheckpoint,
    Part,
    TrainingView,
    current_screen,
    shown_on,
    warn,
    watch,
)
from enstack.progress.timed_bars import TimedBars

STEPS = [{"event": "step", "epoch": 1, "batch": n, "loss": 1 / n, "lr": 1e-5} for n in range(1, 9)]
EPOCHS = [{"event": "epoch", "epoch": 1, "val_macro_f1": 0.5, "best": True}]


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Handle:
    """A display that can be updated, as a notebook's."""

    def __init__(self) -> None:
        self.images: list[Image] = []

    def update(self, image: Image) -> None:
        self.images.append(image)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "perf_counter", made)
    monkeypatch.setattr(time, "time", made)
    return made


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was displayed; an image with an id gets a handle, which is listed after it."""
    displayed: list[Any] = []

    def display(thing: Any, display_id: bool = False) -> Handle | None:
        displayed.append(thing)
        if display_id:
            displayed.append(Handle())
            return displayed[-1]
        return None

    monkeypatch.setattr("IPython.display.display", display)
    return displayed


@pytest.fixture
def panel(shown: list[Any], clock: Clock) -> Panel:
    return Panel()


def texts(widget: Any) -> str:
    """Every text in a widget and the ones inside it, hidden ones left out."""
    if widget.layout.display == "none":
        return ""
    own = [str(getattr(widget, name, "")) for name in ("value", "description")]
    return " ".join([*own, *(texts(child) for child in getattr(widget, "children", ()))])


def view(history: list[dict[str, Any]], last: LastCheckpoint | None = None) -> TrainingView:
    return TrainingView("tiny-a", history, 10, 3, lambda: last)


def test_bars_of_three_levels_are_rows_of_one_panel(
    panel: Panel, shown: list[Any], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with shown_on(panel), Bar(5, "Pipeline", unit="stage", level="pipeline") as pipeline:
        pipeline.advance()
        with Bar(10, "tiny-a", unit="epoch", level="epoch") as epochs:
            epochs.advance(2)
            wait = DataWait()
            with Bar(270, "Epoch 3 [Train]", seconds_each=True, wait=wait, examples=16) as bar:
                clock.now += 12.7
                bar.show(loss=0.4567, lr=1.2e-5)
                bar.advance(27)
                said = texts(shown[0])
    assert "1 of 5 stages" in said
    assert "2 of 10 epochs" in said
    assert "Epoch 3 [Train]" in said
    assert "10% 27/270 [00:12&lt;01:54, 0.47s/it, loss=0.4567, lr=1.2e-05]" in said
    assert "34.0 examples/s" in said
    assert "0 % of the time waits for data" in said
    assert len(shown) == 3, "one panel and the place of the curves, updated in place"
    assert capsys.readouterr().out == "", "no plain lines beside it"


def test_the_last_checkpoint_is_told_with_its_age_and_the_state_of_its_copy(
    panel: Panel, shown: list[Any], clock: Clock
) -> None:
    with shown_on(panel), Bar(100, "Epoch 1 [Train]") as bar:
        watch(view([]))
        clock.now += 1
        bar.advance()
        assert "tiny-a: nothing saved since this start" in texts(shown[0])
        for copied, copying, told in (
            (False, "63%", "copying to the run folder: 63%"),
            (False, "retrying (No space left)", "copying to the run folder: retrying (No space"),
            (True, "", "copied to the run folder and verified"),
        ):
            last = LastCheckpoint("epoch 1, batch 50", clock.now - 125, copied, copying)
            watch(view([], last))
            clock.now += 1
            bar.advance()
            said = texts(shown[0])
            assert "tiny-a, epoch 1, batch 50: saved 2 min ago, verified on this machine" in said
            assert told in said


def test_the_curves_are_one_picture_that_is_updated(
    panel: Panel, shown: list[Any], clock: Clock
) -> None:
    history: list[dict[str, Any]] = []
    with shown_on(panel), Bar(100, "Epoch 1 [Train]") as bar:
        watch(view(history))
        bar.advance()
        _, _, handle = shown
        assert handle.images == [], "nothing to draw yet"
        history += STEPS
        clock.now += 100
        bar.advance()
        history += EPOCHS
        clock.now += 100
        bar.advance()
    first, second = (image.data for image in handle.images)
    assert first.startswith(b"\x89PNG")
    assert second != first


def test_a_short_run_shows_its_curves_at_the_end_of_each_epoch(
    panel: Panel, shown: list[Any], clock: Clock
) -> None:
    history: list[dict[str, Any]] = []
    with shown_on(panel), Bar(3, "tiny-a", unit="epoch", level="epoch") as epochs:
        watch(view(history))
        epochs.advance(0)
        for number in range(1, 4):
            history.append({"event": "epoch", "epoch": number, "val_macro_f1": 0.5, "best": True})
            epochs.advance()
            assert len(shown[2].images) == number, "though no time has passed"


PARTS = [Part("tiny-a", 4), Part("<b>", 4), Part("stacking"), Part("report")]


def test_stages_have_names_and_ticks(panel: Panel, shown: list[Any]) -> None:
    with shown_on(panel), Bar(4, "Pipeline", unit="stage", level="pipeline", parts=PARTS) as bar:
        assert "▶ tiny-a" in texts(shown[0])
        bar.advance()
        with Bar(1, "any"):
            said = texts(shown[0])
        assert "✓ tiny-a" in said
        assert "▶ &lt;b&gt;" in said
        assert "✓ report" not in said
        bar.advance(3)
    assert "✓ report" in texts(shown[0])


def left(shown: list[Any]) -> float | None:
    """Minutes that the panel says are left for the whole run."""
    found = re.search(r"About (?:(\d+) h )?(?:(\d+) min )?(?:(\d+) s )?left", texts(shown[0]))
    hours, minutes, seconds = map(int, found.groups(default="0")) if found else (0, 0, 0)
    return hours * 60 + minutes + seconds / 60 if found else None


def test_one_estimate_is_for_the_whole_run(panel: Panel, shown: list[Any], clock: Clock) -> None:
    with shown_on(panel), Bar(4, "Pipeline", unit="stage", level="pipeline", parts=PARTS) as bar:
        for name in ("tiny-a", "tiny-b"):
            watch(dataclasses.replace(view([]), name=name, batches=10, epochs=4))
            with Bar(4, name, unit="epoch", level="epoch") as epochs:
                for epoch in range(4):
                    with Bar(10, "Epoch [Train]", examples=16) as batches:
                        for batch in range(10):
                            clock.now += 60
                            batches.advance()
                            # Of two models each has four epochs of ten minutes.
                            before = 40 * (name == "tiny-b") + 10 * epoch + batch + 1
                            if before < 80:
                                assert left(shown) == pytest.approx(80 - before, abs=1), before
                    with Bar(5, "Epoch [Validate]") as validation:
                        validation.advance(5)
                    epochs.advance()
            bar.advance()
        assert left(shown) is None, "nothing is left to train"


def test_an_estimate_goes_by_what_this_session_has_trained(
    panel: Panel, shown: list[Any], clock: Clock
) -> None:
    with shown_on(panel), Bar(4, "Pipeline", unit="stage", level="pipeline", parts=PARTS) as bar:
        bar.advance()  # finished in an earlier session
        watch(dataclasses.replace(view([]), batches=10, epochs=4))
        with Bar(4, "b", unit="epoch", level="epoch") as epochs:
            epochs.advance(2)
            # Seven of the ten batches were trained before.
            with Bar(3, "Epoch 3 [Train]", examples=16) as batches:
                assert left(shown) is None
                clock.now += 60
                batches.advance()
                assert left(shown) == pytest.approx(12, abs=1)


def test_a_bar_of_nothing_is_not_shown(
    panel: Panel,
    shown: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shown_on(panel), Bar(0, "Pairs, verified"):
        assert "Pairs" not in texts(shown[0])
    assert capsys.readouterr().out == "", "and the panel goes on"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Bar(0, "Pairs, verified") as bar:
        assert bar._drawn is None


def test_a_warning_stays_in_view_and_is_said_once(
    panel: Panel, shown: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with shown_on(panel):
        for number in range(7):
            warn(f"⚠️  <tiny-{number}> predicts one class only")
        warn("⚠️  <tiny-6> predicts one class only")
    said = texts(shown[0])
    assert said.count("&lt;tiny-6&gt; predicts one class only") == 1
    assert "tiny-1" not in said
    assert "tiny-2" in said
    assert capsys.readouterr().out.count("tiny-6") == 2


def test_a_model_that_answers_all_functions_alike_is_told_until_it_no_longer_does(
    panel: Panel, shown: list[Any], clock: Clock
) -> None:
    history: list[dict[str, Any]] = []
    with shown_on(panel), Bar(9, "Epoch 1 [Train]") as bar:
        watch(view(history))
        for answer in ("CWE-119", None):
            history.append({**EPOCHS[0], "only_answer": answer})
            clock.now += 100
            bar.advance()
            told = "tiny-a gives every validation function the same answer (CWE-119)"
            assert (told in texts(shown[0])) == (answer is not None)


def test_a_model_that_learned_nothing_has_one_warning_in_the_panel_when_it_is_trained(
    panel: Panel, shown: list[Any], clock: Clock
) -> None:
    with shown_on(panel):
        with Bar(1, "tiny-a", level="epoch") as epochs:
            watch(view([{**EPOCHS[0], "only_answer": "clean"}]))
            clock.now += 100
            epochs.advance()
            assert "same answer (clean)" in texts(shown[0])
        warn("⚠️  tiny-a says clean of every function on validation and test (MCC 0.00).")
        clock.now += 100
    assert texts(shown[0]).count("⚠️  tiny-a") == 1
    assert "says clean of every function on validation and test" in texts(shown[0])


def test_curves_of_models_before_stay_in_the_picture() -> None:
    alone = live_curves({"tiny-b": STEPS + EPOCHS}, 10, 3)
    assert live_curves({"tiny-a": STEPS + EPOCHS, "tiny-b": STEPS + EPOCHS}, 10, 3) != alone
    assert live_curves({"tiny-b": STEPS + EPOCHS}, 10, 3) == alone


def test_showing_never_takes_more_than_its_share(clock: Clock) -> None:
    pace, done = Pace(share=0.01, seconds=0.5), 0
    start = clock.now
    for _ in range(100_000):
        clock.now += 0.01
        if pace.due():
            done += 1
            with pace.counted():
                clock.now += 0.04
    passed = clock.now - start
    assert pace.spent <= 0.0101 * passed
    assert done == pytest.approx(passed / 4.05, rel=0.02), "as often as the share allows"


def test_a_panel_that_fails_says_so_once_and_plain_lines_go_on(
    panel: Panel, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(view: object) -> str:
        raise OSError("comm is closed")

    monkeypatch.setattr(module, "checkpoint_line", broken)
    with shown_on(panel), Bar(1000, "Epoch 1 [Train]") as bar:
        watch(view([]))
        for _ in range(1000):
            clock.now += 1
            bar.advance()
    panel.end("Finished")
    said = capsys.readouterr().out.splitlines()
    assert "The panel can't be drawn any more (OSError('comm is closed'))" in said[0]
    assert len(said) == 11
    assert "1000/1000" in said[-1]


def test_the_button_asks_as_ctrl_c_does_and_only_once(panel: Panel, shown: list[Any]) -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    try:
        button = shown[0].children[-1].children[0]  # at the foot
        button.click()
        button.click()
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught == [signal.SIGINT]
    assert button.disabled
    assert button.description == "Stopping …"


def test_a_click_is_heard_soon_however_dear_the_texts_are(
    panel: Panel, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[float] = []
    monkeypatch.setattr(module, "hear_widgets", lambda: heard.append(clock.now))

    def dear(view: object) -> str:
        clock.now += 0.2
        return ""

    monkeypatch.setattr(module, "checkpoint_line", dear)
    with shown_on(panel):
        watch(view([]))
        for epoch in range(30):
            with Bar(5, f"Epoch {epoch} [Train]") as bar:
                for _ in range(5):
                    clock.now += 0.1
                    bar.advance()
    gaps = [later - sooner for sooner, later in itertools.pairwise(heard)]
    assert len(heard) > 10
    assert max(gaps) < 1.5


@pytest.fixture
def in_notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "in_notebook", lambda: True)
    yield
    assert current_screen() is None


@pytest.mark.usefixtures("in_notebook")
def test_the_end_and_a_stop_are_told_and_the_button_goes(shown: list[Any]) -> None:
    with screen_of_run(), Bar(2, "t") as bar:
        bar.advance(2)
    assert "Finished" in texts(shown[0])
    assert "2/2" not in texts(shown[0]), "no bar stands there as if something were at work"
    assert "Stop and save" not in texts(shown[0])
    with pytest.raises(KeyboardInterrupt), screen_of_run():
        raise KeyboardInterrupt
    assert "Stopped" in texts(shown[3])


def test_outside_a_notebook_there_is_no_panel(shown: list[Any]) -> None:
    with screen_of_run():
        assert isinstance(current_screen(), TimedBars)
    assert shown == []


@pytest.mark.usefixtures("in_notebook")
def test_without_widgets_bars_stay_plain(shown: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with screen_of_run():
        assert isinstance(current_screen(), TimedBars)
    assert shown == []
