from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from enstack.errors import Interrupted
from enstack.progress.stopping import (
    STOPPING_SIGNALS,
    ended_by_signals,
    stop_requests,
)
from tests.support.kernels import Kernel


@pytest.fixture(autouse=True)
def as_a_shell_starts_it() -> Iterator[None]:
    """A background job has SIGINT ignored, and this suite may be one."""
    before = {number: signal.getsignal(number) for number in STOPPING_SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", STOPPING_SIGNALS)
def test_a_signal_is_a_wish_and_in_a_notebook_a_third_ctrl_c_stops_at_once(
    number: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Anywhere else it ends the process: tests of the pipeline see that.
    monkeypatch.setattr(sys, "ps1", "In : ", raising=False)
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stop_requests() as stop:  # noqa: PT012
        send(number)
        assert stop.requested
        send(signal.SIGINT)
        assert "A third Ctrl-C ends at once" in capfd.readouterr().err
        send(signal.SIGINT)
        send(signal.SIGINT)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("first", STOPPING_SIGNALS)
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGHUP])
def test_what_machines_send_in_twos_is_one_wish(first: int, second: int) -> None:
    """A closing terminal sends SIGHUP twice, service managers SIGTERM and SIGHUP together."""
    with pytest.raises(Interrupted, match="is kept"), stop_requests() as stop:  # noqa: PT012
        send(first)
        for _ in range(4):
            send(second)
        assert stop.requested


@pytest.mark.parametrize("first", STOPPING_SIGNALS)
def test_once_a_stop_was_granted_no_signal_stirs_the_blocks_around_it(first: int) -> None:
    with ended_by_signals():
        with pytest.raises(Interrupted, match="granted"), stop_requests():  # noqa: PT012
            send(first)
            raise Interrupted("granted")
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            send(number)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_wish_that_comes_after_the_last_look_is_not_lost() -> None:
    with pytest.raises(Interrupted, match="Run the same again"), stop_requests():
        send(signal.SIGTERM)


def test_each_run_of_a_notebook_is_asked_anew() -> None:
    for _ in range(3):
        granted = pytest.raises(Interrupted, match="granted")
        with granted, ended_by_signals(), stop_requests() as stop:
            send(signal.SIGINT)
            assert stop.requested
            raise Interrupted("granted")


@pytest.mark.parametrize("number", STOPPING_SIGNALS)
def test_outside_of_training_a_signal_ends_the_work_once(number: int) -> None:
    before = signal.getsignal(number)
    with ended_by_signals():
        with pytest.raises(KeyboardInterrupt):
            send(number)
        # While the first is being heeded: it must not break off what that does.
        for later in STOPPING_SIGNALS:
            send(later)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("catching", [stop_requests, ended_by_signals])
@pytest.mark.parametrize("number", STOPPING_SIGNALS)
def test_a_signal_that_was_ignored_at_the_start_stays_ignored(
    number: int, catching: object
) -> None:
    """As nohup leaves SIGHUP, and a shell SIGINT of a job in the background."""
    signal.signal(number, signal.SIG_IGN)
    with catching() as stop:  # type: ignore[operator]
        send(number)
        assert stop is None or not stop.requested
    assert signal.getsignal(number) is signal.SIG_IGN


def test_a_script_keeps_its_own_way_with_a_signal_where_nothing_is_trained() -> None:
    seen: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    with ended_by_signals():
        send(signal.SIGTERM)
    assert seen == [signal.SIGTERM]


def test_outside_the_main_thread_nothing_is_caught_and_nothing_breaks() -> None:
    seen: list[bool] = []

    def work() -> None:
        with ended_by_signals(), stop_requests() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


@pytest.mark.parametrize("number", STOPPING_SIGNALS)
def test_what_reaches_all_processes_of_a_group_ends_no_loader_process(number: int) -> None:
    code = (
        "import os, signal, sys\n"
        "from enstack.progress.stopping import leave_signals_to_the_parent\n"
        "number = int(sys.argv[1])\n"
        "signal.signal(number, signal.SIG_DFL)\n"
        "(ready, begun), (sent, go_on) = os.pipe(), os.pipe()\n"
        "worker = os.fork()\n"
        "if not worker:\n"
        "    os.close(go_on)\n"
        "    leave_signals_to_the_parent(0)\n"
        "    os.write(begun, b'x')\n"
        "    os.read(sent, 1)\n"
        "    os._exit(0)\n"
        "os.read(ready, 1)\n"
        "signal.signal(number, signal.SIG_IGN)\n"
        "os.killpg(0, number)\n"
        "os.close(go_on)\n"
        "sys.exit(os.waitpid(worker, 0)[1] != 0)\n"
    )
    # A group of its own, for all of it gets the signal.
    command = [sys.executable, "-c", code, str(int(number))]
    subprocess.run(command, check=True, start_new_session=True)


def test_a_note_goes_to_no_file_that_took_the_place_of_a_closed_standard_error(
    tmp_path: object,
) -> None:
    """With 2>&- the next file that is opened gets the number 2: a checkpoint, perhaps."""
    code = (
        "import os, signal, sys\n"
        "file = open(sys.argv[1], 'wb', buffering=0)\n"
        "from enstack.progress.stopping import stop_requests\n"
        "from enstack.errors import Interrupted\n"
        "try:\n"
        "    with stop_requests(): os.kill(os.getpid(), signal.SIGTERM)\n"
        "except Interrupted:\n"
        "    sys.exit(0 if file.fileno() == 2 else 1)\n"
        "sys.exit(1)\n"
    )
    path = f"{tmp_path}/checkpoint"
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", code, path]
    subprocess.run(command, check=True)
    assert os.stat(path).st_size == 0  # noqa: PTH116


STOPPED_CELL = """
import os, signal
from enstack.progress.stopping import STOPPING_SIGNALS, ended_by_signals, stop_requests
before = [signal.getsignal(number) for number in STOPPING_SIGNALS]
def work(presses):
    with ended_by_signals(), stop_requests():
        for _ in range(presses):
            os.kill(os.getpid(), signal.SIGINT)
        print("went", "on")  # apart: a traceback shows this line
"""


def test_a_kernel_lives_through_a_third_ctrl_c_and_keeps_its_own_handlers(tmp_path: Path) -> None:
    with Kernel(tmp_path) as kernel:
        kernel.run(STOPPED_CELL)
        for presses, goes_on, error in ((2, True, "Interrupted"), (3, False, "KeyboardInterrupt")):
            said = kernel.run(f"work({presses})")
            assert ("went on" in said, error in said) == (goes_on, True), said
        now = "[signal.getsignal(number) for number in STOPPING_SIGNALS]"
        assert "kept: True" in kernel.run(f"print('kept:', {now} == before)")


# What is opened there is waited for as on a mount that is gone: not even Ctrl-C ends the wait.
WAITS_FOR_EVER = """
import ctypes, os, sys, time
from pathlib import Path
from enstack.errors import Interrupted
from enstack.progress import stopping
stopping.LOOK, stopping.PATIENCE = 0.01, 0.1
looks, sleep = [], time.sleep
def look(seconds):
    looks.append(1)
    if len(looks) == 50 and "training" in sys.argv:
        os.open(sys.argv[2], os.O_RDONLY | os.O_NONBLOCK)  # it answers again
    sleep(seconds)
stopping.time.sleep = look
system, actions = ctypes.CDLL(None), ctypes.create_string_buffer(1024)
def open_in_a_child(path):  # which a parent that spawns it waits for, uninterruptibly
    system.posix_spawn_file_actions_init(actions)
    for number, name in ((8, sys.argv[1]), (9, path)):
        system.posix_spawn_file_actions_addopen(actions, number, os.fsencode(name), os.O_WRONLY, 0)
    none = (ctypes.c_char_p * 1)(None)
    system.posix_spawn(ctypes.byref(ctypes.c_int()), b"/bin/true", actions, None, none, none)
@stopping.process_ended_by_signals()
def main():
    with stopping.stop_requests() if "training" in sys.argv else stopping.ended_by_signals():
        open_in_a_child(Path(sys.argv[2]))
try:
    main()
except Interrupted:
    sys.exit(77)
"""


def signalled_while_it_waits(place: Path, number: int, *options: str) -> tuple[int, str]:
    """The status and the words of a process whose main thread waits for a pipe without reader."""
    begun, gone = place / "begun", place / "gone"
    for path in (begun, gone):
        os.mkfifo(path)
    command = [sys.executable, "-c", WAITS_FOR_EVER, str(begun), str(gone), *options]
    running = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        begun.open("rb").close()  # which returns when it is at it
        running.send_signal(number)
        running.wait(timeout=60)
    finally:
        running.kill()
        # The child that it may leave behind ends with this; until then it has the output, too.
        os.close(os.open(gone, os.O_RDONLY | os.O_NONBLOCK))
    return running.returncode, running.communicate()[1].decode()


needs_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a spawn is no uninterruptible wait"
)


@needs_linux
@pytest.mark.parametrize("number", STOPPING_SIGNALS)
def test_a_signal_ends_a_process_that_waits_for_storage_that_is_gone(
    number: int, tmp_path: Path
) -> None:
    status, said = signalled_while_it_waits(tmp_path, number)
    assert status == 130, said
    assert f"{tmp_path}/gone gives no answer, and is waited for no longer." in said
    assert "what was finished or saved before is kept" in said
    assert "Traceback" not in said


@needs_linux
def test_a_signal_ends_no_training_that_waits_for_storage_which_comes_back(tmp_path: Path) -> None:
    assert signalled_while_it_waits(tmp_path, signal.SIGTERM, "training")[0] == 77
