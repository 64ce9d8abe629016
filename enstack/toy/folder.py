"""Made-up data into a folder of its own: the toy's, or a stand-in for Draper VDISC."""

from __future__ import annotations

from pathlib import Path

from enstack.data.made_up import MARK, MARK_TEXT
from enstack.data.split_files import FLAW_LINES, VDISC_NAMES
from enstack.errors import ConfigError
from enstack.storage.files import write_text
from enstack.storage.places import require_own_place
from enstack.toy.fake_vdisc import write_fake_vdisc
from enstack.toy.functions import write_toy_data


def write_toy(folder: Path, vdisc: int | None = None, seed: int = 42) -> Path:
    """Write the three splits of the toy data and return their folder.

    vdisc: so many functions in the shape of Draper VDISC instead. Raises ConfigError for a folder
    that holds data, is needed by others, or can't be written to.
    """
    require_own_place(folder, "folder")
    if not 0 <= seed < 2**32:
        raise ConfigError(f"seed must be 0 to {2**32 - 1:,}, found {seed}. Name another.")
    try:
        _refuse_to_overwrite(folder)
        if vdisc is None:
            write_toy_data(folder, seed=seed)
        else:
            write_fake_vdisc(folder, vdisc, seed=seed)
        write_text(folder / MARK, MARK_TEXT)
    except OSError as error:
        raise ConfigError(
            f"Made-up data needs a folder that can be written to; {folder}: "
            f"{error.strerror or error}. Name another."
        ) from None
    return folder


def _refuse_to_overwrite(folder: Path) -> None:
    """The real VDISC is a gigabyte to download: made-up functions never take its place."""
    names = [*(f"{name}.hdf5" for name in VDISC_NAMES.values()), f"{FLAW_LINES}.jsonl"]
    present = [name for name in names if (folder / name).exists()]
    if present:
        raise ConfigError(
            f"Made-up data must come into a folder without any, {folder} holds "
            f"{', '.join(present)}. Name another folder."
        )
