"""Turns the fields of the notebook's forms into settings; prints nothing."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enstack.errors import CheckpointError, ConfigError
from enstack.notebook.checkout import CHECKOUT

DRIVE_ROOT = Path("/content/drive")
LOADED_AT = time.time()
CHOICES_FILE = "notebook.json"
PLAIN = (bool, int, float, str, list, tuple, type(None))  # what a form or a line would set
LEFT_OPEN = ("BASE_MODELS", "RUN_DIR", "LEARNING_RATE", "LOCAL_DIR")
TOY_SETTINGS: dict[str, Any] = {
    "DATA_DIR": "toy",
    "BASE_MODELS": "tiny-a, tiny-c",
    "LABEL_MODE": "cwe",
    "SUBSET": 80,
    "EPOCHS": 1,
    "BATCH_SIZE": 8,
    "MAX_LENGTH": 64,
    "SAVE_STEPS": 10,
    "PRECISION": "fp32",
    "NUM_WORKERS": 0,
}


def toy_overrides() -> dict[str, Any]:
    """The settings that stand in for every form when ENSTACK_TOY=1, as in the tests; else none."""
    return dict(TOY_SETTINGS) if os.environ.get("ENSTACK_TOY") == "1" else {}


def read_form_fields(work: Path, names: Mapping[str, Any]) -> dict[str, Any]:
    """What the forms say, over what cell 4 remembered.

    names: the notebook's globals(). Raises ConfigError for names that were meant as settings and
    are none: a run would go on without them.
    """
    from enstack.config import RunConfig

    keys = [key.upper() for key in RunConfig.model_fields]
    _refuse_strangers(names, list(RunConfig.model_fields))
    fields = {name: value for name, value in names.items() if name in keys}
    return {**choices_of_cell_4(work).get("choice", {}), **fields}


def _refuse_strangers(names: Mapping[str, Any], keys: list[str]) -> None:
    from enstack.config.other_names import advice_for, looks_like_a_setting

    strange = {
        name: value
        for name, value in names.items()
        if re.fullmatch("[A-Z][A-Z0-9_]*", name)
        and name.lower() not in keys
        # A folder, a module or a table under such a name is the user's own.
        and isinstance(value, PLAIN)
        and looks_like_a_setting(name, keys)
    }
    if strange:
        faults = [
            f"{name} is none (found {value!r:.40}): {advice_for(name, keys)}{_line_for(name, keys)}"
            for name, value in strange.items()
        ]
        raise ConfigError(
            f"Names in UPPER CASE are settings here. {' '.join(faults)} Correct the line, and run "
            f"`del {', '.join(strange)}` once; write names of your own in lower case."
        )


def _line_for(name: str, keys: list[str]) -> str:
    from enstack.config.other_names import meant_setting

    meant = meant_setting(name, keys)
    return f" Write {meant.upper()} = ..." if meant else "."


def choices_of_cell_4(work: Path) -> dict[str, Any]:
    """What cell 4 has written down."""
    from enstack.storage.files import read_json_object

    path = work / CHOICES_FILE
    try:
        return read_json_object(path) if path.exists() else {}
    except CheckpointError as error:
        raise ConfigError(f"{error} It holds what cell 4 chose: remove it, run cell 4.") from None


def require_own_folder(data_dir: str) -> None:
    """Raise ConfigError where a download would go to the toy data."""
    if data_dir == "toy":
        raise ConfigError(
            'A download needs a folder to go to, DATA_DIR is "toy". Name one, such as '
            'DATA_DIR = "vdisc": a folder of your Drive, made if need be.'
        )


def settings_from_fields(work: Path, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with their paths made whole.

    A field that says `auto`, or nothing, leaves the choice to the package.
    """
    # Where the package has an "auto" of its own, such as PRECISION, it stays.
    given = {key: value for key, value in chosen.items() if not _left_open(key, value)}
    settings = {**given, **toy_overrides()}
    data_dir = str(settings.get("DATA_DIR") or "toy").strip()
    settings["DATA_DIR"] = data_dir if data_dir == "toy" else str(user_folder(data_dir))
    # Resolved, for a folder such as "." has no name of its own.
    run_name = str(settings.get("RUN_DIR") or "").strip() or Path(data_dir).resolve().name
    settings["RUN_DIR"] = str(inside(work, run_name, "RUN_DIR"))
    if old := str(settings.get("RESUME_FROM") or "").strip():
        settings["RESUME_FROM"] = str(user_folder(old))
    if toy_overrides():
        # Tests shall leave nothing in the user's own cache.
        settings["LOCAL_DIR"] = str(work / "local")
    return settings


def _left_open(key: str, value: object) -> bool:
    """Whether a form's field leaves a choice that RunConfig makes where it is not told."""
    return key in LEFT_OPEN and str(value if value is not None else "").strip() in ("", "auto")


def inside(folder: Path, name: str, field: str) -> Path:
    """A folder below another one, by the name that a form's field gives."""
    # Resolved, for ".." or an absolute path would lead out of the work folder.
    below = (folder / name).resolve()
    if folder.resolve() not in below.parents:
        raise ConfigError(f"{field} must name a folder within {folder}, found {name!r}.")
    return folder / name


def user_folder(data_dir: str) -> Path:
    """A folder as the user means it: as given, or counted from the top of their Drive."""
    from enstack.config.names import home_expanded

    folder = home_expanded(data_dir)
    drive = DRIVE_ROOT / "MyDrive"
    # os.path.isdir does not raise on a broken mount.
    return folder if folder.exists() or not os.path.isdir(drive) else drive / folder  # noqa: PTH112


def code_changed() -> bool:
    """Whether a module on the disk is newer than what this kernel has loaded."""
    sources = (CHECKOUT / "enstack").rglob("*.py")
    # Python keeps what it has loaded: a pull in a terminal would go unnoticed.
    return any(source.stat().st_mtime > LOADED_AT for source in sources)
