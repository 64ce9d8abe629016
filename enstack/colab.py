"""What the notebook's cells call: Drive, the update of the code, the forms, and what is shown.

The only module that knows google.colab, which exists in Colab alone. Its top imports nothing that
a fresh Colab machine lacks, for cell 2 installs the requirements with it.
"""

from __future__ import annotations

import base64
import difflib
import importlib
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enstack import __version__
from enstack.checkout import code_commit, failure_reason, pull
from enstack.errors import CheckpointError, EnstackError
from enstack.progress import say

if TYPE_CHECKING:
    import pandas as pd

NOTEBOOK_VERSION = 1  # raised whenever a new cell needs what an old notebook does not give
CHECKOUT = Path(__file__).resolve().parent.parent
DRIVE_ROOT = Path("/content/drive")
VM_DISK = Path("/content")
LOADED_AT = time.time()
CHOICES_FILE = "notebook.json"
LIKE_A_KEY = 0.9  # EPOCH is taken for a misspelt EPOCHS, and refused; SEEDS is the user's own
TOY_LEARNING_RATE = 1e-3  # tiny models with random weights learn nothing at the default
TOY_SETTINGS: dict[str, Any] = {
    "DATA_DIR": "toy",
    "BASE_MODELS": "tiny-a, tiny-c",
    "LABEL_MODE": "cwe",
    "SUBSET": 80,
    "EPOCHS": 1,
    "BATCH_SIZE": 8,
    "LEARNING_RATE": TOY_LEARNING_RATE,
    "MAX_LENGTH": 64,
    "SAVE_STEPS": 10,
    "PRECISION": "fp32",
    "NUM_WORKERS": 0,
}
DRIVE_ADVICE = {
    "credential propagation": "Google Drive was not connected, as a permission was not given: "
    "run this cell again and tick every box in Google's window.",
    "transport endpoint": "The connection to Google Drive broke (errno 107): choose Runtime > "
    "Disconnect and delete runtime, then run the cells again; what lies on Drive is safe.",
    "must not already contain files": "Google Drive can't be mounted, as {root} holds files "
    "already: move them away with `!mv {root} {root}_old`, then run this cell again.",
}


class DriveError(EnstackError):
    """Google Drive can't be used."""


def in_colab() -> bool:
    """Whether this kernel can mount Drive; an environment variable alone does not tell."""
    return "google.colab" in sys.modules


def toy_overrides() -> dict[str, Any]:
    """The settings that stand in for every form when ENSTACK_TOY=1, as in the tests; else none."""
    return dict(TOY_SETTINGS) if os.environ.get("ENSTACK_TOY") == "1" else {}


def open_work_folder(name: str, *, use_drive: bool = True, root: Path = DRIVE_ROOT) -> Path:
    """Make and return the folder for run folders: on Drive in Colab, else on this machine.

    Raises DriveError, in one sentence, when Drive can't be mounted.
    """
    if toy_overrides():
        folder = Path(os.environ.get("ENSTACK_TOY_DIR") or tempfile.mkdtemp(prefix="enstack-toy-"))
        reason = "A scratch folder is used (ENSTACK_TOY=1)"
    elif not in_colab():
        folder, reason = CHECKOUT / "enstack_runs", "Not in Colab, so there is no Drive"
    elif not use_drive:
        folder = VM_DISK / name
        reason = "⚠️  Without Drive everything is lost when the runtime ends"
    else:
        mount_drive(root)
        folder, reason = root / "MyDrive" / name, "Google Drive is connected"
    from enstack.files import require_writable

    require_writable(folder, "DRIVE_FOLDER", CheckpointError)
    say(f"📁 {reason}: results go to {folder}")
    return folder


def mount_drive(root: Path = DRIVE_ROOT) -> None:
    """Mount Drive unless it is mounted; DriveError says in one sentence what to do."""
    if _is_mounted(root):
        return
    from google.colab import drive

    try:
        drive.mount(str(root))
    except Exception as error:  # Colab raises ValueError, OSError and a type of its own
        raise DriveError(_drive_advice(error, root)) from error
    if not _is_mounted(root):
        raise DriveError(_drive_advice(f"{root}/MyDrive is absent", root))


def _is_mounted(root: Path) -> bool:
    # Path.is_dir raises on a broken mount (errno 107) before Python 3.12.
    return os.path.isdir(root / "MyDrive")  # noqa: PTH112


def _drive_advice(error: object, root: Path) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    for sign, advice in DRIVE_ADVICE.items():
        if sign in reason.lower():
            return advice.format(root=root)
    return (
        f"Google Drive can't be mounted ({reason}): run this cell again, or untick USE_DRIVE to "
        "work without it (results are then lost when the runtime ends)."
    )


def update_code(checkout: Path = CHECKOUT) -> None:
    """Pull the newest code (in Colab alone), and let the next import read what is on the disk."""
    if in_colab():
        say(pull(checkout))
    for name in [name for name in sys.modules if name.split(".")[0] == "enstack"]:
        del sys.modules[name]
    importlib.invalidate_caches()


def prepare_code(*, notebook_version: int) -> None:
    """Install what is missing, and say which code is loaded and whether the notebook is too old."""
    _show_own_warnings_plainly()
    unmet = unmet_requirements((CHECKOUT / "requirements.txt").read_text(encoding="utf-8"))
    if unmet and in_colab():
        install(unmet)
    elif unmet:
        say(f"⚠️  Missing: {', '.join(unmet)}. Run `pip install -e {CHECKOUT}`.")
    say(f"✅ enstack {__version__}, {code_commit(CHECKOUT)}, from {CHECKOUT}")
    if notebook_version < NOTEBOOK_VERSION:
        say(
            f"⚠️  This notebook is version {notebook_version}, the code expects version "
            f"{NOTEBOOK_VERSION}: open the newest notebook; your run folders stay good."
        )


def _show_own_warnings_plainly() -> None:
    """A setting that is forced off is said each time, in one line without a file's name."""
    from enstack.config import ForcedOffWarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if category.__name__ == ForcedOffWarning.__name__:
            say(f"⚠️  {message}")
        else:
            before(message, category, *place, **more)

    before = warnings.showwarning
    warnings.simplefilter("always", ForcedOffWarning)
    warnings.showwarning = show


def unmet_requirements(text: str) -> list[str]:
    """The lines of a requirements file that the installed packages do not meet."""
    from packaging.requirements import Requirement

    unmet = []
    for line in filter(None, map(str.strip, text.splitlines())):
        wanted = Requirement(line)
        try:
            found = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            unmet.append(line)
            continue
        # Colab's own builds are named like 2.11.0+cu128, or are pre-releases.
        if not wanted.specifier.contains(found, prereleases=True):
            unmet.append(line)
    return unmet


def install(requirements: list[str]) -> None:
    """Let pip add these, and nothing else; EnstackError gives its reason when it fails."""
    say(f"Installing {', '.join(requirements)} ...")
    command = [sys.executable, "-m", "pip", "install", "--quiet", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = failure_reason(
            subprocess.CalledProcessError(done.returncode, "pip", stderr=done.stderr)
        )
        raise EnstackError(
            f"{', '.join(requirements)} must be installed, and pip failed ({reason}). "
            "Check the runtime's internet connection and run this cell again."
        )
    importlib.invalidate_caches()


def show_hardware() -> None:
    """Say which GPU, precision and CPU a run will use, and what to do where there is no GPU."""
    import torch

    from enstack.models import choose_device, choose_precision

    device = choose_device()
    precision = choose_precision("auto", device)
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        say(f"GPU: {card.name}, {card.total_memory / 2**30:.1f} GiB")
    else:
        say(
            "⚠️  No GPU: enough for the toy data, too slow for real data. "
            "In Colab: Runtime > Change runtime type > T4 GPU."
        )
    say(f"Precision: {precision} (chosen for this hardware)\nCPU cores: {os.cpu_count()}")


def show_data(work: Path, **choice: Any) -> pd.DataFrame:
    """Read the chosen data, remember the choice, and return the functions per class and split.

    Raises DataError or ConfigError, and remembers nothing, when the data can't be used.
    """
    import pandas as pd

    from enstack.config import RunConfig
    from enstack.files import write_json
    from enstack.pipeline import read_run_data

    config = RunConfig(**_resolved(work, choice))
    counts = read_run_data(config).summary()["counts"]
    write_json(work / CHOICES_FILE, choice)
    table = pd.DataFrame(counts)
    table.loc["all"] = table.sum()
    return table


def form_settings(work: Path, names: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among a notebook's names, for `configure`, and where the results will be.

    names: the notebook's globals(); each UPPER_CASE name that is a key of RunConfig counts, so a
    line such as SCHEDULER = "cosine" sets that too. What cell 4 chose is remembered in the work
    folder, for a fresh kernel that did not run it.
    """
    from enstack.config import RunConfig
    from enstack.files import read_json

    keys = [key.upper() for key in RunConfig.model_fields]
    chosen = read_json(work / CHOICES_FILE) if (work / CHOICES_FILE).exists() else {}
    for name, value in names.items():
        misspelt = difflib.get_close_matches(name, keys, n=1, cutoff=LIKE_A_KEY)
        if name in keys or (name.isupper() and misspelt):
            chosen[name] = value
    resolved = _resolved(work, chosen)
    if _code_changed():
        say("⚠️  The code on the disk changed since it was loaded: run cell 2, then this cell.")
    if toy_overrides():
        say("ENSTACK_TOY=1: the toy data and small settings stand in for the forms.")
    elif resolved.get("LEARNING_RATE") != chosen.get("LEARNING_RATE"):
        say(f"The tiny models have random weights: LEARNING_RATE {TOY_LEARNING_RATE} is used.")
    say(f"▶ Data: {resolved['DATA_DIR']}; run folder: {resolved['RUN_DIR']}")
    return resolved


def _resolved(work: Path, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with their paths made whole, and with what the toy data needs to be learnt."""
    found = {**chosen, **toy_overrides()}
    data_dir = str(found.get("DATA_DIR") or "toy").strip()
    found["DATA_DIR"] = data_dir if data_dir == "toy" else str(_data_folder(data_dir))
    run_name = str(found.get("RUN_DIR") or "").strip() or Path(data_dir).name
    found["RUN_DIR"] = str(work / run_name)
    if toy_overrides():
        found["LOCAL_DIR"] = str(work / "local")
    elif _only_tiny(found.get("BASE_MODELS"), data_dir) and _is_default("LEARNING_RATE", found):
        found["LEARNING_RATE"] = TOY_LEARNING_RATE
    return found


def _only_tiny(base_models: object, data_dir: str) -> bool:
    """Whether no model but the tiny ones will be trained; the form has names in one text."""
    from enstack.config import TINY_MODELS

    names = set(re.findall(r"[^\s,'\[\]]+", str(base_models or "")))
    return names <= set(TINY_MODELS) if names else data_dir == "toy"


def _is_default(key: str, settings: Mapping[str, Any]) -> bool:
    from enstack.config import RunConfig

    default = RunConfig.model_fields[key.lower()].default
    return bool(settings.get(key, default) == default)


def _data_folder(data_dir: str) -> Path:
    """A folder as the user means it: as given, or counted from the top of their Drive."""
    folder = Path(data_dir).expanduser()
    on_drive = DRIVE_ROOT / "MyDrive" / folder
    return on_drive if in_colab() and not folder.exists() and on_drive.is_dir() else folder


def _code_changed() -> bool:
    sources = Path(__file__).resolve().parent.glob("*.py")
    return any(source.stat().st_mtime > LOADED_AT for source in sources)


def show_results(run_dir: str | Path) -> None:
    """Show a run's leaderboard, best first, its figures, and where the report lies.

    Raises CheckpointError when the run has no finished report or an empty leaderboard.
    """
    import pandas as pd
    from IPython.display import HTML, display

    from enstack.files import read_json

    report = Path(run_dir) / "report"
    rows = read_json(report / "report.json")["leaderboard"] if report.is_dir() else []
    if not rows:
        raise CheckpointError(
            f"The results must stand in {report}, which holds no leaderboard. "
            "Run cell 6 to its end, then this cell."
        )
    display(pd.DataFrame(map(_leaderboard_row, rows), index=range(1, len(rows) + 1)))
    display(HTML(_figure_grid(sorted((report / "figures").glob("*.png")))))
    say(f"📄 Full report (one file; download it and open it in a browser): {report}/report.html")


def _leaderboard_row(row: Mapping[str, Any]) -> dict[str, str]:
    from enstack.report import KINDS

    measures = {"accuracy": "accuracy", "AUC": "auc", "MCC": "mcc"}
    return {
        "kind": KINDS[row["kind"]],
        "name": row["title"],
        "macro-F1": f"{row['macro_f1']:.3f}",
        "95 % interval": f"{row['macro_f1_low']:.3f}–{row['macro_f1_high']:.3f}",
        **{
            title: "–" if row[key] is None else f"{row[key]:.3f}" for title, key in measures.items()
        },
    }


def _figure_grid(figures: list[Path]) -> str:
    """Figures side by side where the page is wide enough, as HTML that needs no other file."""
    images = [
        f'<img alt="{path.stem}" style="width: 400px; background: white" '
        f'src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">'
        for path in figures
    ]
    style = "display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start"
    return f'<div style="{style}">{"".join(images)}</div>'
