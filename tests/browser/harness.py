"""Drive a notebook in a real JupyterLab with a headless Chromium.

    with JupyterLab(folder, environment=...) as lab, open_browser() as browser:
        page = NotebookPage(browser, lab.url_of("a.ipynb"))
        page.run_all(seconds=120)
        page.screenshot_of_cell(6, Path("cell_6.png"))

Cells are named by the number in their title (`#@title 6. ...`). Nothing sleeps: every wait is for
something that can be seen, and says what it saw when it is over in vain.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from playwright.sync_api import Browser, Locator, TimeoutError, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # no name is ever looked up
]
WIDTH, HEIGHT = 1500, 1000
TALLEST = 16_000  # Chromium draws no taller picture in one piece
START_SECONDS = 60
SETTINGS = {
    # All cells are in the page at once, for their text and for the pictures.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none", "scrollPastEnd": False},
    "@jupyterlab/apputils-extension/sessionDialogs": {"skipKernelRestartDialog": True},
    "@jupyterlab/apputils-extension/notification": {
        "checkForUpdates": False,
        "doNotDisturbMode": True,
        "fetchNews": "false",
    },
}
# What scrolls: in JupyterLab 4 a part of the notebook, in 3 the notebook itself.
SCROLLED = (
    ".jp-NotebookPanel .jp-WindowedPanel-outer, .jp-NotebookPanel-notebook:not(.jp-WindowedPanel)"
)
# What can be read below a cell; bars are written with spaces of other widths.
READ = """const read = node => {
    const shown = node.querySelector(".jp-Cell-outputWrapper")?.innerText ?? "";
    return shown.replace(/[\\u00a0\\u2007]/g, " ");
};"""
CELLS = f"""() => {{ {READ}
    return jupyterapp.shell.currentWidget.content.widgets.map((cell, index) => ({{
        index,
        kind: cell.model.type,
        source: cell.model.sharedModel.getSource(),
        count: cell.model.executionCount ?? null,
        text: read(cell.node),
        outputs: cell.model.type === "code" ? cell.model.outputs.toJSON() : [],
    }}));
}}"""
TEXT_FOUND = f"""([index, pattern]) => {{ {READ}
    const text = read(document.querySelectorAll(".jp-Notebook .jp-Cell")[index]);
    return new RegExp(pattern).test(text) ? "found" : enstackRun.over && "over";
}}"""
START_RUN = """() => {
    window.enstackRun = {over: false};
    jupyterapp.commands.execute("notebook:clear-all-cell-outputs")
        .then(() => jupyterapp.commands.execute("notebook:run-all-cells"))
        .finally(() => { window.enstackRun.over = true; });
}"""
# JupyterLab lays itself out some time after the window has another size.
LAID_OUT = f"""() => {{
    const outer = document.querySelector("{SCROLLED}");
    const below = innerHeight - outer.getBoundingClientRect().bottom;
    return 0 <= below && below < 100 && {{hidden: outer.scrollHeight - outer.clientHeight}};
}}"""
COMPLETE = f"""() => {{
    const outer = document.querySelector("{SCROLLED}");
    return [...outer.querySelectorAll("img")].every(image => image.complete);
}}"""


class CellFailedError(AssertionError):
    """A cell ended with an error, or a run of all cells did not reach it."""


class JupyterLab:
    """A JupyterLab server on a free port, with a token and settings of its own.

    folder: where its notebooks lie. executable: another jupyter-lab than the one on the PATH.
    environment: all of it; JUPYTERLAB_SETTINGS_DIR must be a folder that may be written.
    """

    def __init__(self, folder: Path, *, executable: str, environment: Mapping[str, str]) -> None:
        self.folder, self.executable = folder, executable
        self.token, self.port = secrets.token_hex(16), _free_port()
        self.environment = {**environment, "JUPYTER_TOKEN": self.token}
        self.log = folder / "jupyterlab.log"

    def __enter__(self) -> JupyterLab:
        self._write_settings()
        command = [self.executable, "--no-browser", "--allow-root", "--expose-app-in-browser"]
        command += [f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0"]
        command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={self.folder}"]
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_until(self._answers, START_SECONDS, lambda: f"no JupyterLab: {self._said()}")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Shut the server and its kernels down."""
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def url_of(self, notebook: str) -> str:
        """The address that opens a notebook, in a workspace of its own."""
        place = f"http://127.0.0.1:{self.port}/lab/workspaces/{Path(notebook).stem}/tree"
        return f"{place}/{notebook}?token={self.token}"

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"JupyterLab ended by itself: {self._said()}")
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, 5)) as server:
            try:
                server.request("GET", f"/api/status?token={self.token}")
                return server.getresponse().status == http.HTTPStatus.OK
            except (OSError, http.client.HTTPException):
                return False

    def _said(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def _write_settings(self) -> None:
        for name, settings in SETTINGS.items():
            file = Path(self.environment["JUPYTERLAB_SETTINGS_DIR"]) / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(settings))


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """The system's Chromium, headless; none is ever downloaded."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=CHROMIUM_ARGUMENTS
        )
        yield browser
        browser.close()


class NotebookPage:
    """One notebook in one browser page, with the kernel that its metadata names."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        self.page.goto(url)
        ready = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.isReady"
        self.page.wait_for_function(ready, timeout=START_SECONDS * 1000)
        self.page.evaluate(
            "() => { jupyterapp.shell.collapseLeft(); jupyterapp.shell.collapseRight(); }"
        )
        # JupyterLab 3 knows other settings, and leaves room below the last cell, growing with all.
        self.page.add_style_tag(content=".jp-Notebook::after { display: none !important; }")
        self._wait_for_kernel()

    def close(self) -> None:
        """Shut the kernel down, and close the page."""
        self.shut_down_kernel()
        self.page.close()

    def start_all(self) -> None:
        """Clear all outputs, then run all cells; return at once."""
        self.page.evaluate(START_RUN)

    def run_all(self, *, seconds: float, picture: Path | None = None) -> None:
        """Run all cells to the end; CellFailedError holds the output of the cell that failed.

        picture: where a picture of the whole notebook goes, however the run ended.
        """
        self.start_all()
        try:
            self.wait_until_over(seconds=seconds)
        finally:
            if picture is not None:
                self.screenshot(picture)
        self.require_success()

    def wait_until_over(self, *, seconds: float) -> None:
        """Wait until no cell is running or waiting, however each of them ended."""
        try:
            self.page.wait_for_function("() => enstackRun.over", timeout=seconds * 1000)
        except TimeoutError:
            raise AssertionError(
                f"After {seconds} s cells still run:\n{self._all_said()}"
            ) from None

    def require_success(self) -> None:
        """Raise CellFailedError unless every code cell has run, and none with an error."""
        for cell in self._code_cells():
            if error := _error_of(cell):
                kind = error.partition(":")[0]
                raise CellFailedError(f"{_title(cell)}: {kind}\n{cell['text']}")
        missed = [_title(cell) for cell in self._code_cells() if cell["count"] is None]
        if missed:
            raise CellFailedError(f"Not run: {missed}; {self.kernel_status()}:\n{self._all_said()}")

    def wait_for_text(self, number: int, pattern: str, *, seconds: float) -> None:
        """Wait until a cell's output matches; fail at once when the run is over without it."""
        asked = [self._index(number), pattern]
        try:
            seen = self.page.wait_for_function(TEXT_FOUND, arg=asked, timeout=seconds * 1000)
        except TimeoutError:
            seen = None
        if seen is None or seen.json_value() != "found":
            raise AssertionError(f"Cell {number} never showed {pattern!r}:\n{self._all_said()}")

    def output_text(self, number: int) -> str:
        """What a user reads below a cell, widgets included."""
        return str(self._cells()[self._index(number)]["text"])

    def cell(self, number: int) -> Locator:
        """A code cell, its output included."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(self._index(number))

    def button(self, number: int, text: str) -> Locator:
        """The buttons in a cell's output whose text contains this; `.count()` may be 0."""
        return self.cell(number).locator(".jp-Cell-outputWrapper button", has_text=text)

    def click_button(self, number: int, text: str, *, seconds: float = 10) -> None:
        """Click the one button in a cell's output whose text contains this."""
        self.button(number, text).click(timeout=seconds * 1000)

    def shut_down_kernel(self) -> None:
        """End the kernel's process; what is shown stays."""
        self.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def start_kernel(self) -> None:
        """Start a kernel after it was shut down."""
        start = "sessionContext.changeKernel({name: 'python3'})"
        self.page.evaluate(f"() => jupyterapp.shell.currentWidget.{start}.then(() => null)")
        self._wait_for_kernel()

    def kernel_status(self) -> str:
        """Such as "kernel: idle"."""
        status = "() => jupyterapp.shell.currentWidget.sessionContext.kernelDisplayStatus"
        return f"kernel: {self.page.evaluate(status)}"

    def screenshot_of_cell(self, number: int, file: Path) -> None:
        """A picture of a whole cell, its output included."""
        with self._tall_window():
            _picture(self.cell(number), file)

    def screenshot(self, file: Path) -> None:
        """A picture of the notebook from top to bottom."""
        with self._tall_window():
            _picture(self.page.locator(SCROLLED), file)

    @contextlib.contextmanager
    def _tall_window(self) -> Iterator[None]:
        """Make the window as high as the notebook, so that nothing must be scrolled."""
        self.page.wait_for_function(COMPLETE)
        height, hidden = HEIGHT, self._resize(HEIGHT)
        while hidden > 0 and height < TALLEST:  # what becomes visible may grow
            height = min(height + hidden, TALLEST)
            hidden = self._resize(height)
        if hidden > 0:
            raise AssertionError(f"The notebook is {hidden} pixels too high for one picture.")
        try:
            yield
        finally:
            self._resize(HEIGHT)

    def _resize(self, height: int) -> int:
        """Give the window a height, and return how many pixels of the notebook are hidden."""
        self.page.set_viewport_size({"width": WIDTH, "height": height})
        return int(self.page.wait_for_function(LAID_OUT).json_value()["hidden"])

    def _wait_for_kernel(self) -> None:
        idle = "() => jupyterapp.shell.currentWidget.sessionContext.kernelDisplayStatus === 'idle'"
        self.page.wait_for_function(idle, timeout=START_SECONDS * 1000)

    def _cells(self) -> list[dict[str, Any]]:
        return list(self.page.evaluate(CELLS))

    def _code_cells(self) -> list[dict[str, Any]]:
        return [cell for cell in self._cells() if cell["kind"] == "code"]

    def _index(self, number: int) -> int:
        """A cell's place in the notebook, by the number in its title."""
        cells = self._code_cells()
        found = [cell["index"] for cell in cells if _title(cell).startswith(f"{number}. ")]
        if len(found) != 1:
            raise LookupError(f"{len(found)} cells are titled {number}: {[*map(_title, cells)]}")
        return int(found[0])

    def _all_said(self) -> str:
        said = [f"--- {_title(cell)}\n{cell['text']}" for cell in self._code_cells()]
        return "\n".join([self.kernel_status(), *said])


def wait_until(condition: Callable[[], bool], seconds: float, complaint: Callable[[], str]) -> None:
    """Ask again and again until it is so; AssertionError with the complaint when time is up."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(complaint())
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _picture(of: Locator, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    of.screenshot(path=file)


def _title(cell: Mapping[str, Any]) -> str:
    return str(cell["source"].splitlines()[0].removeprefix("#@title "))


def _error_of(cell: Mapping[str, Any]) -> str | None:
    for output in cell["outputs"]:
        if output["output_type"] == "error":
            told = [f"{output['ename']}: {output['evalue']}", *output["traceback"]]
            return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(told))
    return None
