"""Notebooks are committed in one form, their cells only call, and they run on the toy data."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from enstack.colab import NOTEBOOK_VERSION
from enstack.config import RunConfig
from enstack.notebook.forms import LEFT_OPEN, TOY_SETTINGS, read_form_fields
from tools.notebooks import canonical, faults, main

pytestmark = pytest.mark.long

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
COLAB = FOLDER / "enstack_colab.ipynb"
TITLES = [
    "1. Mount Drive",
    "2. Get the Code",
    "3. Hardware",
    "4. Data",
    "5. Training Configuration",
    "6. Run Optimized Training Pipeline",
    "7. Results",
    "8. Check a Checkpoint",
    "9. Troubleshooting",
    "10. Try it on your code",
    "11. Keep it",
]
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_the_notebooks_are_in_their_committed_form() -> None:
    assert main(["--check"]) == 0


@every_notebook
def test_a_run_and_saved_notebook_gets_its_committed_form_back(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    used = json.loads(text)
    for number, cell in enumerate(used["cells"]):
        cell["metadata"]["executionInfo"] = {"status": "ok"}
        if cell["cell_type"] == "code":
            cell |= {"execution_count": number, "outputs": [{"output_type": "stream"}]}
    used["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    assert canonical(used) == text


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["import os"], "must begin with #@title"),
        (["#@title t", *["pass"] * 12], "at most 12 lines, it has 13"),
        (["#@title t", "f = lambda: 1"], "must only call"),
        (["#@title t", "for _ in []: pass"], "must only call"),
        (["#@title t", "from google.colab import drive"], "leave google.colab to the package"),
        (["#@title t", "A = 1 #@param"], "a field without a type: A = 1"),
        (["#@title t", 'A = 1 #@param {type:"slider"}'], "a field without a type: A = 1"),
        (["#@title t", 'A = 1 #@param [1] {type:"int"}'], "a field without a type: A = 1"),
        (["#@title t", 'A = 1 #@param {type:"number"}'], "a field without a note: A = 1"),
    ],
)
def test_a_cell_that_breaks_a_rule_is_named(lines: list[str], fault: str) -> None:
    cell = {"cell_type": "code", "id": "a-cell", "source": "\n".join(lines)}
    (found,) = faults({"cells": [cell]})
    assert found.startswith("cell a-cell ")
    assert fault in found


def test_a_form_may_have_any_number_of_fields_with_their_notes() -> None:
    fields = ["#@markdown a note", 'A = 1 #@param {type:"slider", min:0, max:0.5, step:0.01}'] * 20
    source = ["#@title t", "#@markdown ### Group", *fields, *["pass"] * 11]
    assert faults({"cells": [{"cell_type": "code", "id": "a", "source": "\n".join(source)}]}) == []


def form_fields() -> dict[str, str]:
    """The fields of all forms and what they say, as Python text."""
    lines = [line for cell in cells(COLAB, "code") for line in cell["source"] if "#@param" in line]
    return dict(line.split(" #@param")[0].split(" = ", 1) for line in lines)


def test_the_form_says_what_the_package_would_do_without_it() -> None:
    defaults = RunConfig().model_dump()
    for name, text in form_fields().items():
        value = ast.literal_eval(text)
        if name.lower() in defaults and name not in LEFT_OPEN:
            assert value == defaults[name.lower()], name
        elif name in LEFT_OPEN:
            assert value == "auto"


def test_no_name_of_the_notebook_itself_is_taken_for_a_setting(tmp_path: Path) -> None:
    fields = {name: ast.literal_eval(text) for name, text in form_fields().items()}
    read_form_fields(tmp_path, {**fields, "WORK": "x", "CODE": "x"})


def test_every_choice_and_both_ends_of_every_slider_are_accepted() -> None:
    tried = 0
    for line in "".join(source(cell) for cell in cells(COLAB, "code")).splitlines():
        name, _, field = line.replace(" = ", " #@param ", 1).partition(" #@param ")
        if name.lower() not in RunConfig.model_fields or name in LEFT_OPEN:
            continue
        listed = re.search(r"#@param (\[.+?\])", field)
        choices = ast.literal_eval(listed[1]) if listed else []
        ends = map(ast.literal_eval, re.findall(r"(?:min|max):([\d.]+)", field))
        for value in [*ends, *choices]:
            RunConfig(**{name: value})
            tried += 1
    assert tried > 30


def test_two_cells_of_one_id_are_a_fault() -> None:
    assert "an id of its own" in faults({"cells": [{"cell_type": "markdown", "id": "a"}] * 2})[0]


def test_the_colab_notebook_has_its_eleven_numbered_cells() -> None:
    headings = [line[3:] for cell in cells(COLAB, "markdown") for line in cell["source"]]
    titles = [
        source(cell).splitlines()[0].removeprefix("#@title ") for cell in cells(COLAB, "code")
    ]
    assert titles == TITLES
    assert [line.strip() for line in headings if line[:1].isdigit()] == TITLES


def test_the_colab_notebook_is_set_up_for_a_gpu_and_opens_by_its_badge() -> None:
    metadata = json.loads(COLAB.read_text(encoding="utf-8"))["metadata"]
    assert metadata["accelerator"] == "GPU"
    assert metadata["colab"] == {"gpuType": "T4", "provenance": [], "toc_visible": True}
    first = source(cells(COLAB, "markdown")[0])
    badge = r"https://colab\.research\.google\.com/github/\S+/blob/main/notebooks/"
    assert re.search(badge + re.escape(COLAB.name), first)


def test_the_colab_notebook_has_the_version_that_the_code_expects() -> None:
    assert f"notebook_version={NOTEBOOK_VERSION}," in source(cells(COLAB, "code")[1])


def test_averaging_is_off_in_the_form() -> None:
    assert 'USE_SWA = False #@param {type:"boolean"}\n' in cells(COLAB, "code")[4]["source"]


IN_COLAB = """
import json, os, sys, types
os.environ.pop("ENSTACK_TOY")
package, drive = types.ModuleType("google.colab"), types.ModuleType("google.colab.drive")
drive.mount = lambda mountpoint: os.makedirs(mountpoint + "/MyDrive")
package.drive = drive
sys.modules |= {"google": types.ModuleType("google"), "google.colab": package}
sys.modules["google.colab.drive"] = drive
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for source in json.loads(sys.stdin.read()):
    shell.run_cell(source).raise_error()
print(shell.user_ns["WORK"], shell.user_ns["colab"].__file__)
"""


def test_cells_1_and_2_clone_mount_and_update_in_a_colab_kernel(tmp_path: Path) -> None:
    published, content = tmp_path / "published", tmp_path / "content"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(FOLDER.parent / "enstack", published / "enstack", ignore=ignored)
    shutil.copy(FOLDER.parent / "requirements.txt", published)
    content.mkdir()
    for name in ("colab", "notebook/forms"):
        module = published / "enstack" / f"{name}.py"
        module.write_text(module.read_text().replace('"/content', f'"{content}'))
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "IPYTHONDIR": str(tmp_path)}
    environment |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": ""}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "someone", f"GIT_{role}_EMAIL": "s@example.org"}
    git = ["git", "-C", str(published)]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "new"]):
        subprocess.run([*git, *command], env=environment, check=True)
    first, second = (source(cell) for cell in cells(COLAB, "code")[:2])
    first, replaced = re.subn(r"https://github\.com/\S+", str(published), first)
    assert replaced == 1
    sources = json.dumps([first, second])
    command = [sys.executable, "-c", IN_COLAB]
    done = subprocess.run(
        command, input=sources, env=environment, capture_output=True, text=True, cwd=content
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The code is up to date." in done.stdout
    work, loaded = done.stdout.splitlines()[-1].split()
    assert work == str(content / "drive" / "MyDrive" / "enstack_runs")
    assert loaded == str(content / "enstack" / "enstack" / "colab.py")
    assert not list((content / "enstack").rglob("__pycache__")), "an update meets no old bytecode"


@pytest.fixture(scope="module")
def toy_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


def test_the_notebooks_run_on_the_toy_data(toy_dir: Path) -> None:
    """First, a machine that has seen nothing; the work folder stays for the next test."""
    before = sorted(FOLDER.rglob("*"))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    command += ["--nbval-lax", "--nbval-current-env", *map(str, NOTEBOOKS)]
    environment = {**os.environ, "ENSTACK_TOY_DIR": str(toy_dir)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (toy_dir / "toy" / "report" / "report.html").is_file()
    assert sorted(FOLDER.rglob("*")) == before, "the checkout stays as it was"


def test_a_fresh_kernel_runs_any_cell_after_1_2_5_and_trains_nothing_twice(
    toy_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENSTACK_TOY_DIR", str(toy_dir))
    notebook = nbformat.read(COLAB, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = [code[number - 1] for number in (1, 2, 5, 6, 7, 8, 9, 3, 10, 11)]
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": FOLDER}}).execute()
    configured, trained, shown, checked, told, hardware, _, kept = map(printed, notebook.cells[2:])
    assert (
        "✅ Configuration updated:\n"
        f"   - Epochs: {TOY_SETTINGS['EPOCHS']}\n"
        f"   - Batch Size: {TOY_SETTINGS['BATCH_SIZE']}\n"
        "   - SWA (Stochastic Weight Averaging): False\n"
        f"   - Checkpoint Strategy: save every {TOY_SETTINGS['SAVE_STEPS']} steps\n"
        "   - Resume: True\n"
    ) in configured
    assert trained.count("finished before, skipped") == 4
    assert "[Train]" not in trained
    assert "report.html" in shown
    assert "✅" in checked
    assert "run_finished" in told
    assert "Every base model is trained" in configured
    assert "Precision: " in hardware
    displayed = [out.data["text/html"] for out in notebook.cells[4].outputs if "data" in out]
    leaderboard, by_class, figures, download = displayed
    assert "macro-F1" in leaderboard
    assert "CWE-476" in by_class
    assert figures.count("data:image/png;base64,") == 7
    assert 'download="toy-report.html"' in download
    judged = json.dumps([output.get("data") for output in notebook.cells[8].outputs])
    assert "Judge" in judged or "VBox" in judged
    # The run of all cells, above, has kept it before.
    assert "Exported before, skipped" in kept
    assert 'download=\\"toy_model.zip\\"' in json.dumps(notebook.cells[9].outputs)


def printed(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)
