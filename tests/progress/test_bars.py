from __future__ import annotations

import pytest

from enstack.progress import bars, data_wait
from enstack.progress.bars import Bar
from enstack.progress.data_wait import DataWait
from enstack.progress.say import duration


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(bars.time, "perf_counter", made)
    return made


def test_the_line_of_a_bar_reads_as_the_guide_shows_it(clock: Clock) -> None:
    with Bar(270, "Epoch 1 [Train]", seconds_each=True) as bar:
        clock.now = 13.0
        bar.done = 27
        bar.show(loss=0.45674, lr=1.2e-5)
        assert bar.line() == (
            "Epoch 1 [Train]:  10% 27/270 [00:13<01:56, 0.48s/it, loss=0.4567, lr=1.2e-05]"
        )


def test_a_log_file_gets_at_most_ten_lines_and_always_the_last(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Bar(1000, "t") as bar:
        for _ in range(1000):
            clock.now += 1.0
            bar.advance()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert "1000/1000" in lines[-1]


def test_the_share_of_waiting_is_measured_after_the_warm_up_and_advised_on(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    def slow_batches() -> object:
        for _ in range(60):
            clock.now += 0.25
            yield 0

    wait = DataWait("local_dir is far away; set it nearer")
    for _ in wait.watch(slow_batches()):  # type: ignore[arg-type]
        clock.now += 0.75
    assert wait.share() == pytest.approx(0.25, abs=0.02)
    assert wait.postfix() == {"data": wait.share()}
    assert wait.advise()
    assert capsys.readouterr().out == (
        "💡 The model waits 25 % of the time for data: local_dir is far away; set it nearer.\n"
    )


def test_a_loop_that_does_not_wait_shows_nothing(clock: Clock) -> None:
    wait = DataWait()
    for _ in wait.watch(range(60)):
        clock.now += 1.0
    assert wait.postfix() == {}
    assert not wait.advise()


def test_the_share_of_waiting_means_something_after_a_while(clock: Clock) -> None:
    wait, settled = DataWait(), []
    for _ in wait.watch(range(60)):
        clock.now += 1.0
        settled.append(wait.settled())
    # The warm-up is not counted; the first of these batches is number 0.
    assert settled.index(True) == data_wait.WARM_UP_BATCHES + int(data_wait.ADVICE_AFTER) - 1


def test_bars_around_others_are_left_out_of_plain_lines(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Bar(2, "Pipeline", level="pipeline") as outer, Bar(3, "tiny-a", level="epoch") as inner:
        clock.now += 100
        inner.advance(3)
        outer.advance(2)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "less than 1 s"),
        (42.4, "42 s"),
        (59.6, "1 min"),
        (600, "10 min"),
        (3599, "1 h 0 min"),
        (6000, "1 h 40 min"),
    ],
)
def test_lengths_of_time_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
