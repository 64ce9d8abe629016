"""The notebook as a user sees it in Colab: in a browser, with a drive, cell after cell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.colab_machine import ColabMachine, write_notebook
from tests.browser.harness import CellFailedError, JupyterLab, NotebookPage

RUN_SECONDS = 150
TRAINING, RESULTS = 6, 7
QUICK = {"EPOCHS": 2, "SUBSET": "200"}
LONG = {  # 471 batches an epoch, and no checkpoint but where a stop makes one
    "EPOCHS": 1,
    "BATCH_SIZE": 1,
    "BASE_MODELS": "tiny-a, tiny-c",
    "RUN_DIR": "stopped",
}
WAITED_FOR = 5
SOME_BATCHES = rf"Epoch 1 \[Train\]\D*\d+%\D*([{WAITED_FOR}-9]|\d\d+)/\d+"


@pytest.fixture(scope="module")
def finished(lab: JupyterLab, browser: Browser, screenshots: Path) -> Iterator[NotebookPage]:
    """The notebook after Run All on the toy data."""
    write_notebook(lab.folder / "toy.ipynb", **QUICK)
    notebook = NotebookPage(browser, lab.url_of("toy.ipynb"))
    notebook.run_all(seconds=RUN_SECONDS, picture=screenshots / "run_all.png")
    yield notebook
    notebook.close()


def test_run_all_ends_with_a_leaderboard(finished: NotebookPage, screenshots: Path) -> None:
    finished.screenshot_of_cell(TRAINING, screenshots / "training.png")
    finished.screenshot_of_cell(RESULTS, screenshots / "results.png")
    assert "macro-F1" in finished.output_text(RESULTS)
    assert finished.cell(RESULTS).locator("table").count() >= 1
    widths = (
        finished.cell(RESULTS).locator("img").evaluate_all("all => all.map(i => i.naturalWidth)")
    )
    assert len(widths) >= 4
    assert all(widths), "each figure is drawn"


def test_the_report_is_downloaded_by_a_button(finished: NotebookPage) -> None:
    with finished.page.expect_download() as download:
        finished.cell(RESULTS).locator("a[download]").click()
    assert download.value.suggested_filename == "toy-report.html"
    assert "enstack report" in download.value.path().read_text(encoding="utf-8")


def test_a_wrong_folder_is_told_below_its_cell(
    lab: JupyterLab, browser: Browser, screenshots: Path
) -> None:
    write_notebook(lab.folder / "wrong.ipynb", DATA_DIR="nowhere")
    notebook = NotebookPage(browser, lab.url_of("wrong.ipynb"))
    with pytest.raises(CellFailedError, match=r"(?s)^4. Data: DataError\n.*nowhere"):
        notebook.run_all(seconds=RUN_SECONDS)
    notebook.screenshot_of_cell(4, screenshots / "wrong_folder.png")
    assert "Traceback" not in notebook.output_text(4)
    assert notebook.output_text(TRAINING) == ""
    notebook.close()


@pytest.fixture(scope="module")
def stopped(lab: JupyterLab, browser: Browser, screenshots: Path) -> Iterator[NotebookPage]:
    """The notebook, stopped in the middle of an epoch; each test after the first goes on."""
    write_notebook(lab.folder / "stopped.ipynb", **LONG)
    notebook = NotebookPage(browser, lab.url_of("stopped.ipynb"))
    notebook.start_all()
    stop_training(notebook, screenshots / "panel.png")
    yield notebook
    notebook.close()


def stop_training(notebook: NotebookPage, picture: Path | None = None) -> None:
    """Press the panel's button in the middle of an epoch; the picture is taken just before."""
    notebook.wait_for_text(TRAINING, SOME_BATCHES, seconds=RUN_SECONDS)
    if picture is not None:
        notebook.cell(TRAINING).locator("img").first.wait_for()
        notebook.screenshot_of_cell(TRAINING, picture)
    notebook.click_button(TRAINING, "Stop")
    notebook.wait_until_over(seconds=RUN_SECONDS)


def skipped_batches(notebook: NotebookPage) -> int:
    return number_in(notebook, r"⏭️  Resuming: will skip (\d+) batches")


def saved_batches(notebook: NotebookPage) -> int:
    return number_in(notebook, r"progress is saved: tiny-a, epoch 1, (\d+) of 471 batches")


def number_in(notebook: NotebookPage, pattern: str) -> int:
    found = re.search(pattern, notebook.output_text(TRAINING))
    assert found, notebook.output_text(TRAINING)
    return int(found[1])


def test_a_stop_in_the_middle_of_an_epoch_saves_what_was_trained(
    stopped: NotebookPage, screenshots: Path
) -> None:
    stopped.screenshot_of_cell(TRAINING, screenshots / "stopped.png")
    assert WAITED_FOR <= saved_batches(stopped) < 471


def test_run_all_after_a_stop_goes_on_at_the_next_batch(
    stopped: NotebookPage, screenshots: Path
) -> None:
    saved = saved_batches(stopped)
    stopped.start_all()
    stop_training(stopped)
    stopped.screenshot_of_cell(TRAINING, screenshots / "stopped_again.png")
    assert skipped_batches(stopped) == saved
    assert saved_batches(stopped) >= saved + WAITED_FOR


def test_a_fresh_machine_goes_on_from_the_drive_to_the_end(
    stopped: NotebookPage, machine: ColabMachine, screenshots: Path
) -> None:
    saved = saved_batches(stopped)
    stopped.shut_down_kernel()
    machine.renew()
    stopped.start_kernel()
    stopped.run_all(seconds=RUN_SECONDS, picture=screenshots / "resumed.png")
    assert "Mounted at /content/drive" in stopped.output_text(1)
    assert skipped_batches(stopped) == saved
    assert "macro-F1" in stopped.output_text(RESULTS)
