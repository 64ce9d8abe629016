"""What the notebook's cells do and print, in their order: hardware, data, settings, results.

Its top imports nothing that a fresh Colab machine lacks, for cell 2 installs the requirements.
"""

from __future__ import annotations

import base64
import html
import mimetypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enstack.errors import CheckpointError, ConfigError
from enstack.notebook.forms import (
    CHOICES_FILE,
    code_changed,
    read_form_fields,
    require_own_folder,
    settings_from_fields,
    toy_overrides,
    user_folder,
)
from enstack.progress.say import say

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from enstack.config import RunConfig
    from enstack.run_folder import RunFolder

GIB = 2**30


def show_hardware() -> None:
    """Cell 3: say which GPU, precision and CPU a run will use."""
    import torch

    from enstack.models.hardware import Hardware

    hardware = Hardware.choose()
    device = hardware.device
    if device.type == "cuda":
        say(gpu_line(device))
        if (gpus := torch.cuda.device_count()) > 1:
            say(f"{gpus} GPUs: PROCESSES = {gpus} in cell 5 (processes={gpus}) trains on all.")
    else:
        say(
            "⚠️  No GPU: enough for the toy data, too slow for real data. "
            "In Colab: Runtime > Change runtime type > T4 GPU."
        )
    say(f"Precision: {hardware.precision} (chosen for this hardware)\nCPU cores: {os.cpu_count()}")


def gpu_line(device: torch.device) -> str:
    """The GPU's name and memory, in words."""
    import torch

    card = torch.cuda.get_device_properties(device)
    return f"GPU: {card.name}, {card.total_memory / GIB:.1f} GiB"


def show_data(work: Path, *, download: bool = False, **choice: Any) -> pd.DataFrame:
    """Cell 4: read and remember the chosen data, and return the functions per class and split.

    download: fetch Draper VDISC into DATA_DIR first, unless it lies there. Raises DataError or
    ConfigError, and remembers nothing, when the data can't be used.
    """
    import pandas as pd

    from enstack.config import RunConfig
    from enstack.inputs import read_run_data
    from enstack.storage.files import write_json

    resolved = settings_from_fields(work, choice)
    if download:
        from enstack.data.download import download_vdisc

        require_own_folder(resolved["DATA_DIR"])
        download_vdisc(Path(resolved["DATA_DIR"]))
    config = RunConfig(**resolved)
    data = read_run_data(config)
    # In the work folder, for a fresh kernel has no memory of this cell.
    write_json(work / CHOICES_FILE, {"choice": choice})
    summary = data.summary()
    table = pd.DataFrame(summary["counts"])
    table.loc["all"] = pd.Series(summary["functions"])
    return table


def configure_run(work: Path, names: dict[str, Any]) -> RunConfig:
    """Cell 5: the run that the forms ask for, checked; what was set is printed.

    names: the notebook's globals(); `config` among them is forgotten first, so that no cell goes
    on with settings from before a refusal. Raises ConfigError for settings that can't be.
    """
    from enstack.config import configure

    names["config"] = None
    return configure(**form_settings(work, names))


def form_settings(work: Path, names: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among a notebook's names, for `configure`, and where the results will be.

    names: the notebook's globals(); each UPPER_CASE name that is a key of RunConfig counts, so a
    line such as SCHEDULER = "cosine" sets that too. What cell 4 chose is remembered in the work
    folder, for a fresh kernel that did not run it.
    """
    chosen = read_form_fields(work, names)
    resolved = settings_from_fields(work, chosen)
    if code_changed():
        say("⚠️  The code on the disk changed since it was loaded: run cell 2, then this cell.")
    if toy_overrides():
        say("ENSTACK_TOY=1: the toy data and small settings stand in for the forms.")
    say(f"▶ Data: {resolved['DATA_DIR']}; run folder: {resolved['RUN_DIR']}")
    return resolved


def show_results(run: RunConfig | str | Path | None) -> None:
    """Cell 7: show a run's verdict, leaderboard, the candidate class by class, the figures.

    run: its configuration or its folder. Below them stands a button that downloads the report.
    Raises CheckpointError when it has no finished report or an empty leaderboard.
    """
    from IPython.display import HTML, display

    from enstack.data.made_up import MADE_UP_NOTE, says_made_up
    from enstack.reporting.costs import cost_cells
    from enstack.reporting.leaderboard import leaderboard_cells, read_report_leaderboard
    from enstack.reporting.verdict import read_verdict, verdict_text
    from enstack.run_folder import RunFolder
    from enstack.stacking.costs import Cost
    from enstack.storage.files import read_json_object

    folder = RunFolder(require_run_dir(run))
    rows = read_report_leaderboard(folder.report_data)
    if not rows:
        raise CheckpointError(
            f"The results must stand in {folder.report}, which holds no leaderboard. "
            "Run cell 6 to its end, then this cell."
        )
    content = read_json_object(folder.report_data)
    notes = content.get("data", {}).get("notes", [])
    if says_made_up(content.get("settings", {}).get("data_dir"), notes):
        say(MADE_UP_NOTE)
    verdict = read_verdict(folder.stacking.verdict)
    if verdict is not None:
        say(verdict_text(verdict))
    costs = {key: Cost(**cost) for key, cost in content.get("costs", {}).items()}
    display(
        _table(
            [
                leaderboard_cells(row) | (cost_cells(costs.get(row.key)) if costs else {})
                for row in rows
            ]
        )
    )
    title, by_class = _by_class(content, None if verdict is None else verdict.declared.candidate)
    say(f"{title}, class by class:")
    display(_table(by_class))
    # Sorted, for a file system lists names in any order.
    display(HTML(_figure_grid(sorted(folder.figures.glob("*.png")))))
    if folder.report_page.is_file():
        display(HTML(report_button(folder)))
    say(f"📄 Full report, one file that opens offline: {folder.report_page}")


def _table(rows: list[dict[str, str]]) -> Any:
    """Rows as a table at the left, where text is read from the left."""
    import pandas as pd

    frame = pd.DataFrame(rows, index=range(1, len(rows) + 1))
    left: Any = [{"selector": "th, td", "props": [("text-align", "left")]}]
    # JupyterLab would put it in the middle of the page.
    at_the_left = 'style="margin-left: 0; margin-right: auto"'
    return frame.style.set_table_styles(left).set_table_attributes(at_the_left)


def _by_class(
    content: Mapping[str, Any], candidate: str | None
) -> tuple[str, list[dict[str, str]]]:
    """A model's title, and its figures for each class or flag: the candidate's, else the chosen."""
    from enstack.data.weaknesses import MEANINGS
    from enstack.reporting.leaderboard import number

    model = next(
        (one for one in content["evaluations"] if one["key"] == candidate), content["chosen"]
    )
    figures = ("precision", "recall", "f1")
    return str(model["title"]), [
        {
            "class": entry["class"],
            "test functions": f"{entry['support']:,}",
            **{name.replace("f1", "F1"): number(entry[name]) for name in figures},
            "what it is": MEANINGS.get(entry["class"], ""),
        }
        for entry in model["per_class"]
    ]


def report_button(run: RunFolder) -> str:
    """A link that downloads a run's report."""
    page, name = run.report_page, f"{run.path.name}-{run.report_page.name}"
    return download_button(page.read_bytes(), name, "Download the report")


def download_button(content: bytes, name: str, title: str) -> str:
    """A link that downloads a file, as HTML: its bytes are in it, so no server must reach them."""
    data, kind = base64.b64encode(content).decode(), mimetypes.guess_type(name)[0]
    style = (
        "display: inline-block; margin: 8px 0; padding: 6px 14px; border-radius: 4px; "
        "background: #1565c0; color: white; text-decoration: none; font: 500 14px sans-serif"
    )
    link = f'href="data:{kind};base64,{data}" download="{html.escape(name, quote=True)}"'
    return f'<a {link} style="{style}">⬇ {html.escape(title)}</a>'


def _figure_grid(figures: list[Path]) -> str:
    """Figures side by side where the page is wide enough, as HTML that needs no other file."""
    images = [
        f'<img alt="{path.stem}" style="width: 400px; background: white" '
        f'src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">'
        for path in figures
    ]
    style = "display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start"
    return f'<div style="{style}">{"".join(images)}</div>'


def show_checkpoint(work: Path, place: str, run: RunConfig | None) -> None:
    """Cell 8: say whether a checkpoint or run folder is whole, and from where training will go on.

    place: a folder as given, or within the work folder, or from the top of the user's Drive; run's
    folder where it is empty.
    """
    from enstack.checkpoints.inspection import inspect_path
    from enstack.checkpoints.inspection_text import verdict_text
    from enstack.config.names import home_expanded
    from enstack.run_folder import RunFolder
    from enstack.verify_run import result_faults

    named = place.strip()
    # An absolute path stays what it is when it is joined to a folder.
    inside = work / home_expanded(named)
    given = inside if inside.is_dir() else user_folder(named)
    folder = given if named else require_run_dir(run)
    say(verdict_text(inspect_path(folder).beside(*result_faults(RunFolder(folder)))))


def require_run_dir(run: RunConfig | str | Path | None) -> Path:
    """The run folder of a configuration or path; ConfigError where there is none."""
    if run is None:
        raise ConfigError(
            "This needs a configuration: run cell 5 until it says ✅, then this cell."
        )
    return Path(run if isinstance(run, (str, Path)) else run.run_dir)
