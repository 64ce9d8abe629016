"""The notebook as a user sees it in Colab: in a browser, with a drive, cell after cell."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import enstack
from enstack.toy.functions import write_toy_data
from tests.browser.colab_machine import SCAN_NOTEBOOK, ColabMachine, write_notebook
from tests.browser.harness import CellFailedError, JupyterLab, NotebookPage

RUN_SECONDS = 150
TRAINING, RESULTS, TRY_IT, KEEP_IT = 6, 7, 10, 11
JUDGE, KEEP_FINDINGS = 4, 5  # of the other notebook
FILL = """int fill(char *to)
{
    char line[8];
    gets(line);
    return strlen(strcpy(to, line));
}
"""
PASTED = {FILL: r"fill \(lines 1 to 6\)", "int x = <b>1</b>;": "No function was found"}
QUICK = {"EPOCHS": 2, "SUBSET": "200"}
# Three toys' functions: an epoch must last until the button is found, and found again.
MANY = {"train": 1800, "validation": 120, "test": 120}
LONG = {  # a batch for each function, and no checkpoint but where a stop makes one
    "DATA_DIR": "many",
    "SAVE_STEPS": 5000,
    "EPOCHS": 1,
    "BATCH_SIZE": 1,
    "BASE_MODELS": "tiny-c",
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


def test_the_example_is_judged_and_its_lines_are_coloured(
    finished: NotebookPage, screenshots: Path
) -> None:
    finished.screenshot_of_cell(TRY_IT, screenshots / "try_it.png")
    said = finished.output_text(TRY_IT)
    assert "copy_name (lines 1 to 7)" in said
    assert re.search(r"calibrated\s.*tiny-[abc]\s", said, re.DOTALL)  # the model, its base models
    assert len(coloured_lines(finished, TRY_IT)) >= 1


def test_the_model_and_the_report_are_downloads_to_keep(
    finished: NotebookPage, tmp_path: Path, screenshots: Path
) -> None:
    finished.screenshot_of_cell(KEEP_IT, screenshots / "keep_it.png")
    links = finished.cell(KEEP_IT).locator("a[download]")
    assert links.count() == 2
    with finished.page.expect_download() as download:
        links.first.click()
    name = download.value.suggested_filename
    assert name == "toy_model.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path)
    assert enstack.load(tmp_path / "toy_model").predict(["f(void) { }"]).shape == (1,)


def test_pasted_code_is_judged_by_a_button_and_what_holds_no_function_is_told(
    judged: NotebookPage, screenshots: Path
) -> None:
    box = judged.cell(JUDGE).locator("textarea")
    for number, (code, told) in enumerate(PASTED.items()):
        box.fill(code)
        judged.click_button(JUDGE, "Judge")
        judged.cell(JUDGE).filter(has_text=re.compile(told)).wait_for(timeout=60_000)
        judged.screenshot_of_cell(JUDGE, screenshots / f"pasted_{number}.png")
    assert judged.button(JUDGE, "Judge").is_enabled()


def test_a_zip_on_the_drive_is_judged_and_its_findings_are_a_download(
    lab: JupyterLab, browser: Browser, machine: ColabMachine, screenshots: Path
) -> None:
    with zipfile.ZipFile(machine.drive / "my code.zip", "w") as archive:
        archive.writestr("src/copy.c", f"static {FILL}")
        archive.writestr("../../outside.c", "int outside(void) { return 1; }")
    form = {"YOUR_CODE": "my code.zip", "FINDINGS_AS": "mine"}
    write_notebook(lab.folder / "zip.ipynb", SCAN_NOTEBOOK, **form)
    notebook = NotebookPage(browser, lab.url_of("zip.ipynb"))
    notebook.run_all(seconds=RUN_SECONDS, picture=screenshots / "zip.png")
    said = notebook.output_text(JUDGE)
    assert "fill (src/copy.c, lines 1 to 6)" in said
    assert "1 of the archive's source files are passed over" in said
    with notebook.page.expect_download() as download:
        notebook.cell(KEEP_FINDINGS).locator("a[download]").click()
    assert "fill" in download.value.path().read_text(encoding="utf-8")
    notebook.close()


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
def judged(lab: JupyterLab, browser: Browser, screenshots: Path) -> Iterator[NotebookPage]:
    """The notebook that trains nothing, with its box."""
    write_notebook(lab.folder / "scan.ipynb", SCAN_NOTEBOOK)
    notebook = NotebookPage(browser, lab.url_of("scan.ipynb"))
    notebook.run_all(seconds=RUN_SECONDS, picture=screenshots / "scan_your_code.png")
    yield notebook
    notebook.close()


def coloured_lines(notebook: NotebookPage, number: int) -> list[str]:
    """The lines of code in a cell's output that have a colour behind them."""
    spans = notebook.cell(number).locator("pre span[style*='rgba(198']")
    found: list[str] = spans.evaluate_all(
        """all => all.filter(one => {
            const shade = getComputedStyle(one).backgroundColor.split(",")[3] ?? "1";
            return parseFloat(shade) > 0.05;
        }).map(one => one.innerText)"""
    )
    return found


@pytest.fixture(scope="module")
def stopped(
    lab: JupyterLab, browser: Browser, machine: ColabMachine, screenshots: Path
) -> Iterator[NotebookPage]:
    """The notebook, stopped in the middle of an epoch; each test after the first goes on."""
    write_toy_data(machine.drive / "many", sizes=MANY)
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
    return number_in(notebook, r"⏭️  Resuming: will skip ([\d,]+) batches")


def saved_batches(notebook: NotebookPage) -> int:
    return number_in(notebook, r"progress is saved: tiny-c, epoch 1, ([\d,]+) of [\d,]+ batches")


def number_in(notebook: NotebookPage, pattern: str) -> int:
    found = re.search(pattern, notebook.output_text(TRAINING))
    assert found, notebook.output_text(TRAINING)
    return int(found[1].replace(",", ""))


def test_a_stop_in_the_middle_of_an_epoch_saves_what_was_trained(
    stopped: NotebookPage, screenshots: Path
) -> None:
    stopped.screenshot_of_cell(TRAINING, screenshots / "stopped.png")
    assert saved_batches(stopped) >= WAITED_FOR


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
