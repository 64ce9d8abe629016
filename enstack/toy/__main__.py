"""`python -m enstack.toy`: made-up data into a folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from enstack.data.formats import VDISC_NAMES
from enstack.errors import ConfigError, EnstackError
from enstack.toy.fake_vdisc import write_fake_vdisc
from enstack.toy.functions import write_toy_data


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the toy data, or with --vdisc a stand-in for Draper VDISC, into a folder."""
    parser = argparse.ArgumentParser(prog="python -m enstack.toy", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where the three files come")
    parser.add_argument("--vdisc", type=int, metavar="N", help="so many functions in all")
    parser.add_argument("--seed", type=int, default=42)
    chosen = parser.parse_args(arguments)
    try:
        _refuse_to_overwrite(chosen.folder)
        if chosen.vdisc is None:
            write_toy_data(chosen.folder, seed=chosen.seed)
        else:
            write_fake_vdisc(chosen.folder, chosen.vdisc, seed=chosen.seed)
    except EnstackError as error:
        parser.exit(error.exit_status, f"enstack: {error}\n")
    except OSError as error:
        reason = error.strerror or str(error)
        parser.exit(4, f"enstack: {chosen.folder} can't be written: {reason}.\n")


def _refuse_to_overwrite(folder: Path) -> None:
    """The real VDISC is a gigabyte to download: made-up functions never take its place."""
    present = [name for name in VDISC_NAMES.values() if (folder / f"{name}.hdf5").exists()]
    if present:
        raise ConfigError(
            f"Made-up data must come into a folder without any, {folder} holds "
            f"{', '.join(f'{name}.hdf5' for name in present)}. Name another folder."
        )


if __name__ == "__main__":
    main()
