"""Real Jupyter kernels for tests, and the notebook's cells with other values in their forms."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "enstack_colab.ipynb"
SECONDS = 240  # for one cell on a busy machine


class Kernel:
    """A kernel process that runs cells, one after the other, until it is killed."""

    def __init__(self, folder: Path, **environment: str) -> None:
        # Without one, the client makes a loop of its own, and never closes it.
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self.manager = KernelManager()
        try:
            self._start(folder, environment)
        except BaseException:
            self._close()
            raise

    def _start(self, folder: Path, environment: dict[str, str]) -> None:
        hidden = ("ENSTACK_TOY", "ENSTACK_TOY_DIR", "ENSTACK_CODE")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        self.manager.start_kernel(env={**kept, **environment}, cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self._subshell = self._open_subshell()

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """SIGKILL, as when a runtime goes away."""
        self.client.stop_channels()
        self._close()

    def _close(self) -> None:
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        self._loop.close()
        asyncio.set_event_loop(None)

    def run(self, source: str) -> str:
        """What a cell prints; an error is part of it."""
        return self.read(self.client.execute(source))

    def read(self, cell: str) -> str:
        """What a cell that was started prints until it ends."""
        return "".join(self._texts(cell))

    def messages(self, cell: str) -> Any:
        """What a cell that was started sends, message by message, until it ends."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != cell:
                continue
            if message["content"].get("execution_state") == "idle":
                return
            yield message
        raise TimeoutError(f"the cell did not end within {SECONDS} s")

    def click(self, widget: str) -> None:
        """Press a button as a browser does, by way of a thread of its own where there is one."""
        data = {"method": "custom", "content": {"event": "click"}}
        message = self.client.session.msg("comm_msg", {"comm_id": widget, "data": data})
        if self._subshell:
            message["header"]["subshell_id"] = self._subshell
        self.client.shell_channel.send(message)

    def _open_subshell(self) -> str | None:
        """What JupyterLab asks of kernels that can hear widgets while a cell is at work."""
        info = self.client.kernel_info(reply=True, timeout=60)["content"]
        if "kernel subshells" not in info.get("supported_features", []):
            return None
        asked = self.client.session.msg("create_subshell_request")
        self.client.control_channel.send(asked)
        return str(self.client.control_channel.get_msg(timeout=60)["content"]["subshell_id"])

    def _texts(self, cell: str) -> Any:
        for message in self.messages(cell):
            if message["msg_type"] == "stream":
                yield message["content"]["text"]
            elif message["msg_type"] == "error":
                yield "\n".join(message["content"]["traceback"])


def cells(**form: Any) -> dict[int, str]:
    """The sources of the notebook's numbered cells, with other values in their forms."""
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]
    for name, value in form.items():
        changed = [re.sub(rf"(?m)^{name} = .+? #@", f"{name} = {value!r} #@", s) for s in sources]
        assert changed != sources, f"no form has {name}"
        sources = changed
    return dict(enumerate(sources, start=1))


def git(folder: Path, *arguments: str) -> str:
    """Run git, with an author and without the machine's own settings."""
    names = {f"GIT_{role}_{what}": "s@example.org" for role in ("AUTHOR", "COMMITTER")
             for what in ("NAME", "EMAIL")}  # fmt: skip
    environment = {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull}
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()


def publish(folder: Path) -> Path:
    """A repository with the package as it is now, to clone from and to push updates to."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "enstack", folder / "enstack", ignore=ignored)
    shutil.copy(ROOT / "requirements.txt", folder)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def from_repository(published: Path) -> dict[str, str]:
    """Environment in which the notebook's clone address leads to a local repository."""
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{published}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/enstack/enstack",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PYTHONPATH": "",
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONWARNINGS": "",
        "OMP_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
