"""A kernel that does not start leaves nothing behind that another test would stumble over."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import nbclient
import nbformat
import pytest
from jupyter_client.manager import KernelManager

from tests.support.kernels import Kernel
from tests.support.signals import signals_as_they_were


def test_a_client_whose_kernel_does_not_start_keeps_no_signal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no kernel today")

    monkeypatch.setattr(nbclient.NotebookClient, "async_start_new_kernel", fail)
    before = signal.getsignal(signal.SIGTERM)
    with signals_as_they_were(), pytest.raises(OSError, match="no kernel today"):
        nbclient.NotebookClient(nbformat.v4.new_notebook()).execute()
    assert signal.set_wakeup_fd(-1) == -1
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_kernel_that_does_not_start_closes_its_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    new_loop = asyncio.new_event_loop
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: loops.append(new_loop()) or loops[-1])
    monkeypatch.setattr(
        KernelManager, "start_kernel", lambda *_, **__: (_ for _ in ()).throw(OSError("no"))
    )
    with pytest.raises(OSError, match="no"):
        Kernel(tmp_path)
    assert [loop.is_closed() for loop in loops] == [True]
