from __future__ import annotations

import os
import signal
import threading

import pytest

from enstack.progress.stopping import stop_requests


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_wish_and_the_second_stops_at_once(number: int) -> None:
    before = signal.getsignal(number)
    with stop_requests() as stop:
        os.kill(os.getpid(), number)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_outside_the_main_thread_nothing_is_caught_and_nothing_breaks() -> None:
    seen: list[bool] = []

    def work() -> None:
        with stop_requests() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
