"""The notebook's kernel while a cell is at work: what its widgets have to say is heard."""

from __future__ import annotations

import json
import sys
from typing import Any

DELIMITER = b"<IDS|MSG>"  # stands between a message's addresses and its parts (Jupyter's protocol)


def hear_widgets() -> None:
    """Let widgets act on clicks that have arrived since the cell began.

    A kernel reads its messages between two cells only: a button would be heard when all is over.
    Messages of other kinds are left to the kernel, in their order. Outside a kernel, or in one
    whose inbox is not where ipykernel 6 and 7 have it, nothing happens.
    """
    kernel: Any = getattr(_shell(), "kernel", None)
    inbox = _inbox(kernel)
    if inbox is None or not inbox.socket.poll(0):
        return
    try:
        while inbox.socket.poll(0):
            _handle(kernel, inbox, inbox.socket.recv_multipart(copy=False))
    finally:
        # A click may raise. The socket tells of new messages once: of what is left the kernel
        # would never hear.
        inbox.io_loop.add_callback(inbox.flush)


def _handle(kernel: Any, inbox: Any, message: list[Any]) -> None:
    if _kind(message) == "comm_msg":
        addresses, parts = kernel.session.feed_identities(message, copy=False)
        content = kernel.session.deserialize(parts, content=True, copy=False)
        kernel.shell_handlers["comm_msg"](inbox, addresses, content)
    else:
        # As if it had come a little later.
        inbox.io_loop.add_callback(inbox._recv_callback, message)


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _inbox(kernel: Any) -> Any:
    """The stream of messages that wait for the thread that runs cells; None where it is not known.

    ipykernel 7 reads the browser's messages in a thread of its own, which hands them on.
    """
    thread = getattr(kernel, "shell_channel_thread", None)
    if thread is None:
        stream = getattr(kernel, "shell_stream", None)
    else:
        pair_of = getattr(thread.manager, "get_shell_channel_to_subshell_pair", None)
        stream = pair_of(None).to_stream if pair_of else None
    return stream if hasattr(stream, "_recv_callback") else None


def _kind(message: list[Any]) -> str:
    """A message's kind, read from its header alone: reading it whole would count as its arrival."""
    frames = [bytes(frame) for frame in message]
    # Between delimiter and header stands the signature.
    header = frames.index(DELIMITER) + 2
    return str(json.loads(frames[header])["msg_type"])
