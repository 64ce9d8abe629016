"""The notebook in real kernels: updated while it runs, killed, gone on with, and stopped."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.equality import tree_digest
from tests.support.kernels import SECONDS, Kernel, cells, from_repository, git, publish

pytestmark = pytest.mark.long

FORM = {
    "SUBSET": 120,
    "EPOCHS": 2,
    "BATCH_SIZE": 4,
    "MAX_LENGTH": 64,
    "SAVE_STEPS": 5,
    "BASE_MODELS": "tiny-a",
}
RESUMED = r"⏭️  Resuming: will skip (\d+) batches \(fast-forward\), train (\d+) batches"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("published") / "enstack")


class Place:
    """A machine's disk: a working folder, where the notebook lies, and a home."""

    def __init__(self, folder: Path, published: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir(parents=True)
        (folder / "home").mkdir()
        self.environment = {**from_repository(published), "HOME": str(folder / "home")}
        self.run_dir = self.folder / "enstack_runs" / "toy"

    def kernel(self) -> Kernel:
        return Kernel(self.folder, **self.environment)


@pytest.fixture
def place(tmp_path: Path, published: Path) -> Place:
    return Place(tmp_path, published)


# Updates


@pytest.fixture
def updated(tmp_path: Path) -> Iterator[tuple[Place, Path, Kernel]]:
    """A kernel that has imported the package from a clone, and a newer commit published since."""
    published = publish(tmp_path / "published")
    place = Place(tmp_path / "machine", published)
    with place.kernel() as kernel:
        said = kernel.run(cells()[1]) + kernel.run(cells()[2])
        assert "The code is up to date." in said, said
        assert "results go to" in said
        module = published / "enstack" / "notebook" / "cells.py"
        # Of the same size, and within a second: what stale bytecode would hide.
        text = module.read_text(encoding="utf-8")
        module.write_text(text.replace("⚠️  No GPU: enough", "⚠️  Kein GPU: enug"), encoding="utf-8")
        assert len(module.read_text(encoding="utf-8")) == len(text)
        git(published, "commit", "--quiet", "--all", "--message", "say it otherwise")
        yield place, published, kernel


def test_the_next_call_after_an_update_runs_the_new_code(
    updated: tuple[Place, Path, Kernel],
) -> None:
    place, _, kernel = updated
    hardware = "colab.show_hardware()"
    assert "No GPU: enough" in kernel.run(hardware)
    before = kernel.run("import os; print(os.getpid())")
    said = kernel.run(cells()[2])
    assert re.search(r"The code was updated \(\w+ → \w+\)\.\n   · say it otherwise\n", said)
    assert "Kein GPU: enug" in kernel.run(hardware)
    assert kernel.run("print(os.getpid())") == before, "no restart"
    assert not list((place.folder / "enstack").rglob("__pycache__"))


@pytest.mark.slow  # test_colab holds the same of a checkout without a kernel
def test_an_update_keeps_edits_and_says_in_one_sentence_what_to_do(
    updated: tuple[Place, Path, Kernel],
) -> None:
    place, published, kernel = updated
    clone = place.folder / "enstack"
    edited = clone / "enstack" / "notebook" / "cells.py"
    edited.write_text(edited.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    said = kernel.run(cells()[2])
    assert "Your edits in enstack/notebook/cells.py are kept, and the code was not updated" in said
    assert edited.read_text(encoding="utf-8").endswith("# mine\n")
    assert "with local edits" in said
    git(clone, "stash")
    assert "The code was updated" in kernel.run(cells()[2])
    git(published, "commit", "--quiet", "--amend", "--message", "rewritten")
    head = git(clone, "rev-parse", "HEAD")
    said = kernel.run(cells()[2])
    assert "The published history no longer contains this checkout's commit" in said
    assert git(clone, "rev-parse", "HEAD") == head
    published.rename(published.with_name("gone"))
    said = kernel.run(cells()[2])
    assert "No update could be fetched" in said
    assert "the code at hand is used." in said
    assert git(clone, "stash", "list"), "what was put aside is still there"
    assert "enstack 0" in kernel.run(cells()[2]), "the old code goes on working"


@pytest.mark.slow  # test_pipeline holds the refusal
def test_a_config_of_the_code_before_an_update_is_refused_by_cell_6(
    updated: tuple[Place, Path, Kernel],
) -> None:
    _, _, kernel = updated
    kernel.run(cells(**FORM)[5])
    kernel.run(cells()[2])
    assert "run cell 5 again" in kernel.run(cells()[6])


def test_without_a_network_the_first_cell_says_so(place: Place, tmp_path: Path) -> None:
    place.environment["GIT_CONFIG_KEY_0"] = f"url.{tmp_path / 'nowhere'}.insteadOf"
    with place.kernel() as kernel:
        said = kernel.run(cells()[1])
    assert "The code can't be fetched: check the internet connection" in said


# Disconnects


def wait_for_save(run_dir: Path, after: int = 0) -> None:
    """Until a checkpoint inside an epoch has reached the run folder."""
    events = run_dir / "events.jsonl"
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        lines = events.read_text(encoding="utf-8").splitlines() if events.exists() else []
        records = [json.loads(line) for line in lines if line.endswith("}")]
        if any(r["event"] == "saved" and r["step"] > after for r in records):
            return
        time.sleep(0.01)
    raise TimeoutError("nothing was saved")


def results(run_dir: Path) -> dict[str, Any]:
    report = json.loads((run_dir / "report" / "report.json").read_text(encoding="utf-8"))
    return {name: report[name] for name in ("leaderboard", "verdict", "chosen", "training")}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, published: Path) -> Place:
    place = Place(tmp_path_factory.mktemp("unbroken"), published)
    with place.kernel() as kernel:
        said = "".join(kernel.run(cells(**FORM)[number]) for number in (1, 2, 4, 5, 6))
    assert "📄 Report:" in said, said
    return place


@pytest.mark.slow  # test_kills and test_trainer hold the same without a kernel
def test_a_killed_kernel_is_gone_on_from_with_cells_1_2_5_6(place: Place, unbroken: Place) -> None:
    form = cells(**FORM)
    with place.kernel() as kernel:
        for number in (1, 2, 4, 5):
            kernel.run(form[number])
        kernel.client.execute(form[6])
        wait_for_save(place.run_dir)
    with place.kernel() as kernel:
        said = [kernel.run(form[number]) for number in (1, 2, 5, 6)]
    skipped, trained = map(int, re.search(RESUMED, said[-1]).groups())  # type: ignore[union-attr]
    assert skipped > 0
    assert skipped + trained == 30
    assert "📄 Report:" in said[-1]
    assert results(place.run_dir) == results(unbroken.run_dir)
    best = "base_models/tiny-a/best_model"
    assert tree_digest(place.run_dir / best) == tree_digest(unbroken.run_dir / best)


@pytest.mark.slow  # test_pipeline and test_cli hold the same without a kernel
def test_averaging_stays_off_whatever_form_and_folder_ask_for(
    place: Place, unbroken: Place
) -> None:
    place.run_dir.mkdir(parents=True)
    old = {"USE_SWA": True, "EPOCHS": 10}
    (place.run_dir / "config.json").write_text(json.dumps(old), encoding="utf-8")
    form = cells(**FORM, USE_SWA=True)
    with place.kernel() as kernel:
        said = "".join(kernel.run(form[number]) for number in (1, 2, 4, 5, 6))
    assert "   - SWA (Stochastic Weight Averaging): False\n" in said
    assert said.count("USE_SWA was forced to False") == 1
    assert results(place.run_dir) == results(unbroken.run_dir)
    best = "base_models/tiny-a/best_model/model.safetensors"
    assert (place.run_dir / best).read_bytes() == (unbroken.run_dir / best).read_bytes()


# The panel's button


def wait_until_cells_run(kernel: Kernel) -> None:
    """What comes within an instant of an error is aborted, by the kernel's own rule."""
    assert "alive\n" in (kernel.run("print('alive')") for _ in range(100))


def stop_button(message: dict[str, Any]) -> str | None:
    """The comm id of the Stop button, where this message is the one that opens it."""
    state = message["content"].get("data", {}).get("state", {})
    opens = message["msg_type"] == "comm_open" and state.get("description") == "Stop and save"
    return str(message["content"]["comm_id"]) if opens else None


@pytest.mark.parametrize("more", [{}, pytest.param({"PROCESSES": 2}, marks=pytest.mark.slow)])
def test_the_stop_button_saves_and_stops_and_the_cell_goes_on_from_there(
    place: Place, more: dict[str, int]
) -> None:
    form = cells(**{**FORM, "EPOCHS": 50, **more})
    with place.kernel() as kernel:
        for number in (1, 2, 4, 5):
            kernel.run(form[number])
        cell = kernel.client.execute(form[6])
        button, clicked, said = None, False, ""
        for message in kernel.messages(cell):
            button = button or stop_button(message)
            if button and not clicked and (place.run_dir / "events.jsonl").exists():
                wait_for_save(place.run_dir)
                # Twice, as impatient people do.
                kernel.click(button)
                kernel.click(button)
                clicked = True
            if message["msg_type"] == "error":
                said = "\n".join(message["content"]["traceback"])
        assert said.startswith("🛑 Interrupted; progress is saved: tiny-a, epoch ")
        wait_until_cells_run(kernel)
        again = kernel.client.execute(form[6])
        for message in kernel.messages(again):
            text = message["content"].get("text", "")
            if "Resuming: " in text:
                assert re.search(r"Resuming: (will skip \d+ batches|\d+ of 50 epochs)", text)
                break
        else:
            pytest.fail("the second run did not go on")


@pytest.mark.slow
def test_a_stop_before_training_leaves_the_kernel_alive(place: Place) -> None:
    """While tokens are made a stop is an exception, thrown where the click is heard."""
    form = cells(**FORM)
    slow = """
import time
from enstack.models import tokens
whole = tokens.Bar.advance
tokens.Bar.advance = lambda self, count=1: (time.sleep(1), whole(self, count))[1]
"""
    with place.kernel() as kernel:
        for number in (1, 2, 4, 5):
            kernel.run(form[number])
        kernel.run(slow)
        cell = kernel.client.execute(form[6])
        button, said = None, ""
        for message in kernel.messages(cell):
            button = button or stop_button(message)
            if button and "fine-tuning" in message["content"].get("text", ""):
                for _ in range(3):
                    kernel.click(button)
            if message["msg_type"] == "error":
                said = "\n".join(message["content"]["traceback"])
        assert "🛑 Interrupted; what was finished or saved before is kept." in said, said
        wait_until_cells_run(kernel)
