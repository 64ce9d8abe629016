"""What the notebook's cells show: hardware, data, settings from the forms, results, a bug report.

Its top imports nothing that a fresh Colab machine lacks, for cell 2 installs the requirements.
"""

from __future__ import annotations

import base64
import difflib
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enstack import __version__
from enstack.checkout import code_commit
from enstack.errors import CheckpointError, ConfigError
from enstack.progress import say

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from enstack.config import RunConfig


CHECKOUT = Path(__file__).resolve().parent.parent
DRIVE_ROOT = Path("/content/drive")
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
PAPER_TRAIN = 20_305  # functions in the paper's training split
REPORTED_PACKAGES = (
    *("torch", "transformers", "tokenizers", "safetensors", "numpy", "pandas", "scikit-learn"),
    *("xgboost", "skops", "h5py", "pyarrow", "pydantic", "ipywidgets", "ipykernel", "ipython"),
)
LAST_EVENTS = 12
GIB = 2**30


def toy_overrides() -> dict[str, Any]:
    """The settings that stand in for every form when ENSTACK_TOY=1, as in the tests; else none."""
    return dict(TOY_SETTINGS) if os.environ.get("ENSTACK_TOY") == "1" else {}


# Hardware


def show_hardware(work: Path | None = None, names: Mapping[str, Any] | None = None) -> None:
    """Say which GPU, precision and CPU a run will use, and how long an epoch will take.

    work, names: the work folder and the notebook's globals(), for the models and sizes chosen so
    far; without them the hardware alone is told.
    """
    from enstack.models import choose_device, choose_precision

    device = choose_device()
    precision = choose_precision("auto", device)
    if device.type == "cuda":
        say(_gpu_line(device))
    else:
        say(
            "⚠️  No GPU: enough for the toy data, too slow for real data. "
            "In Colab: Runtime > Change runtime type > T4 GPU."
        )
    say(f"Precision: {precision} (chosen for this hardware)\nCPU cores: {os.cpu_count()}")
    if work is not None:
        _show_time_per_epoch(work, names or {}, device)


def _gpu_line(device: torch.device) -> str:
    import torch

    card = torch.cuda.get_device_properties(device)
    return f"GPU: {card.name}, {card.total_memory / GIB:.1f} GiB"


def _show_time_per_epoch(work: Path, names: Mapping[str, Any], device: torch.device) -> None:
    from enstack.config import HUB_MODELS, RunConfig, base_model_names
    from enstack.estimate import estimate
    from enstack.pipeline import base_model

    config = RunConfig(**{**_resolved(work, _chosen(work, names)), "USE_SWA": False})
    asked = config.base_models
    if config.data_dir == "toy" and device.type == "cuda" and not toy_overrides():
        asked = [*asked, *HUB_MODELS]  # so that one sees what this GPU is good for
    say("Measuring a few batches ...")
    models = map(base_model, base_model_names(asked), asked, [config] * len(asked))
    for line in estimate(list(models), _n_train(work, config), config, device):
        say(line)


def _n_train(work: Path, config: RunConfig) -> int:
    """Functions to train on: as counted by cell 4, else all toy ones or those of the paper."""
    from enstack.toy import TOY_SIZES

    known = _remembered(work).get("n_train")
    if known is not None and known["data_dir"] == config.data_dir:
        return int(known["functions"])
    all_there_are = TOY_SIZES["train"] if config.data_dir == "toy" else PAPER_TRAIN
    return min(config.subset, all_there_are) if isinstance(config.subset, int) else all_there_are


# Data and settings


def show_data(work: Path, *, download: bool = False, **choice: Any) -> pd.DataFrame:
    """Read the chosen data, remember the choice, and return the functions per class and split.

    download: fetch Draper VDISC into DATA_DIR first, unless it lies there. Raises DataError or
    ConfigError, and remembers nothing, when the data can't be used.
    """
    import pandas as pd

    from enstack.config import RunConfig
    from enstack.files import write_json
    from enstack.pipeline import read_run_data

    resolved = _resolved(work, choice)
    if download:
        from enstack.vdisc import download_vdisc

        _require_own_folder(resolved["DATA_DIR"])
        download_vdisc(Path(resolved["DATA_DIR"]))
    config = RunConfig(**resolved)
    data = read_run_data(config)
    counted = {"data_dir": config.data_dir, "functions": len(data.splits["train"])}
    write_json(work / CHOICES_FILE, {"choice": choice, "n_train": counted})
    summary = data.summary()
    table = pd.DataFrame(summary["counts"])
    table.loc["all"] = pd.Series(summary["functions"])
    return table


def configure_run(work: Path, names: dict[str, Any]) -> RunConfig:
    """The run that a notebook's forms ask for, checked; what was set is printed.

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
    chosen = _chosen(work, names)
    resolved = _resolved(work, chosen)
    if _code_changed():
        say("⚠️  The code on the disk changed since it was loaded: run cell 2, then this cell.")
    if toy_overrides():
        say("ENSTACK_TOY=1: the toy data and small settings stand in for the forms.")
    elif resolved.get("LEARNING_RATE") != chosen.get("LEARNING_RATE"):
        say(f"The tiny models have random weights: LEARNING_RATE {TOY_LEARNING_RATE} is used.")
    say(f"▶ Data: {resolved['DATA_DIR']}; run folder: {resolved['RUN_DIR']}")
    return resolved


def _chosen(work: Path, names: Mapping[str, Any]) -> dict[str, Any]:
    """What the forms say, over what cell 4 remembered."""
    from enstack.config import RunConfig

    keys = [key.upper() for key in RunConfig.model_fields]
    chosen = dict(_remembered(work).get("choice", {}))
    for name, value in names.items():
        misspelt = difflib.get_close_matches(name, keys, n=1, cutoff=LIKE_A_KEY)
        if name in keys or (name.isupper() and misspelt):
            chosen[name] = value
    return chosen


def _remembered(work: Path) -> dict[str, Any]:
    """What cell 4 has written down."""
    from enstack.files import read_json_object

    path = work / CHOICES_FILE
    try:
        return read_json_object(path) if path.exists() else {}
    except CheckpointError as error:
        raise ConfigError(f"{error} It holds what cell 4 chose: remove it, run cell 4.") from None


def _require_own_folder(data_dir: str) -> None:
    if data_dir == "toy":
        raise ConfigError(
            'A download needs a folder to go to, DATA_DIR is "toy". Name one, such as '
            'DATA_DIR = "vdisc": a folder of your Drive, made if need be.'
        )


def _resolved(work: Path, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with their paths made whole, and with what the toy data needs to be learnt."""
    found = {**chosen, **toy_overrides()}
    data_dir = str(found.get("DATA_DIR") or "toy").strip()
    found["DATA_DIR"] = data_dir if data_dir == "toy" else str(_user_folder(data_dir))
    run_name = str(found.get("RUN_DIR") or "").strip() or Path(data_dir).resolve().name
    found["RUN_DIR"] = str(_inside(work, run_name, "RUN_DIR"))
    if old := str(found.get("RESUME_FROM") or "").strip():
        found["RESUME_FROM"] = str(_user_folder(old))
    if toy_overrides():
        found["LOCAL_DIR"] = str(work / "local")
    elif _only_tiny(found.get("BASE_MODELS"), data_dir) and _is_default("LEARNING_RATE", found):
        found["LEARNING_RATE"] = TOY_LEARNING_RATE
    return found


def _inside(folder: Path, name: str, field: str) -> Path:
    """A folder below another one, by the name that a form's field gives."""
    below = (folder / name).resolve()
    if folder.resolve() not in below.parents:
        raise ConfigError(f"{field} must name a folder within {folder}, found {name!r}.")
    return folder / name


def _only_tiny(base_models: object, data_dir: str) -> bool:
    """Whether no model but the tiny ones will be trained; the form has names in one text."""
    from enstack.config import TINY_MODELS

    names = set(re.findall(r"[^\s,'\[\]]+", str(base_models or "")))
    return names <= set(TINY_MODELS) if names else data_dir == "toy"


def _is_default(key: str, settings: Mapping[str, Any]) -> bool:
    from enstack.config import RunConfig

    default = RunConfig.model_fields[key.lower()].default
    return bool(settings.get(key, default) == default)


def _user_folder(data_dir: str) -> Path:
    """A folder as the user means it: as given, or counted from the top of their Drive."""
    folder = Path(data_dir).expanduser()
    drive = DRIVE_ROOT / "MyDrive"
    # os.path.isdir does not raise on a broken mount.
    return folder if folder.exists() or not os.path.isdir(drive) else drive / folder  # noqa: PTH112


def _code_changed() -> bool:
    sources = Path(__file__).resolve().parent.glob("*.py")
    return any(source.stat().st_mtime > LOADED_AT for source in sources)


def show_results(run: RunConfig | str | Path | None) -> None:
    """Show a run's leaderboard, best first, its figures, and where the report lies.

    run: its configuration or its folder. Raises CheckpointError when it has no finished report or
    an empty leaderboard.
    """
    import pandas as pd
    from IPython.display import HTML, display

    from enstack.files import read_json

    report = _run_dir(run) / "report"
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
    from enstack.run_results import KINDS

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


# When something is wrong


def show_checkpoint(work: Path, place: str, run: RunConfig | None) -> None:
    """Say whether a checkpoint or run folder is whole, and from where training will go on.

    place: a folder as given, or within the work folder, or from the top of the user's Drive; run's
    folder where it is empty.
    """
    from enstack.inspection import inspect_path, verdict_text

    named = place.strip()
    if not named:
        say(verdict_text(inspect_path(_run_dir(run))))
        return
    inside = work / Path(named).expanduser()
    say(verdict_text(inspect_path(inside if inside.is_dir() else _user_folder(named))))


def _run_dir(run: RunConfig | str | Path | None) -> Path:
    if run is None:
        raise ConfigError(
            "This needs a configuration: run cell 5 until it says ✅, then this cell."
        )
    return Path(run if isinstance(run, (str, Path)) else run.run_dir)


def show_troubleshooting(work: Path, names: Mapping[str, Any]) -> None:
    """Print what a report of a fault needs: versions, commit, hardware, disks, the last events.

    names: the notebook's globals(); without a configuration among them the rest is printed.
    """
    import torch

    from enstack.models import choose_device

    device = choose_device()
    versions = [f"{name} {_version(name)}" for name in REPORTED_PACKAGES]
    say(f"enstack {__version__}, {code_commit(CHECKOUT)}, from {CHECKOUT}")
    say(f"Python {platform.python_version()}, {platform.platform()}")
    say(", ".join(versions))
    say(_gpu_line(device) if device.type == "cuda" else "No GPU")
    say(f"CUDA of torch: {torch.version.cuda}; CPU cores: {os.cpu_count()}")
    for place in (work, Path.home()):
        say(f"{_free(place)} free at {place}")
    if names.get("config") is None:
        say("No configuration: cell 5 was not run, or refused its form.")
        return
    run_dir = _run_dir(names["config"])
    say(f"Last events of {run_dir}:")
    for line in _last_events(run_dir):
        say(f"   {line}")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _free(place: Path) -> str:
    try:
        existing = next(path for path in (place, *place.parents) if os.path.exists(path))  # noqa: PTH110
        return f"{shutil.disk_usage(existing).free / GIB:.1f} GiB"
    except OSError as error:
        return f"not known ({error.strerror})"


def _last_events(run_dir: Path) -> list[str]:
    try:
        lines = (run_dir / "events.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        return [f"none ({error.strerror})"]
    return [_as_text(line) for line in lines[-LAST_EVENTS:]]


def _as_text(line: str) -> str:
    """An event as time, kind, details; a line that is none, as it is."""
    try:
        details = dict(json.loads(line))
        time_and_kind = f"{details.pop('time')}  {details.pop('event')}"
    except (ValueError, KeyError, TypeError):
        return line
    shown = (f"{k}={round(v, 4) if isinstance(v, float) else v}" for k, v in details.items())
    return f"{time_and_kind}  {', '.join(shown)}".rstrip()
