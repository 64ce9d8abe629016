"""The benchmarks, which lie beside the package in a clone and are not installed with it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, Protocol, cast

from enstack.errors import ConfigError

BENCHMARKS = (
    "resume",
    "save",
    "train",
    "panel",
    "prepare",
    "stacking",
    "scan",
    "sizes",
    "overhead",
    "first_batch",
)  # modules of benchmarks/, each with `measure` and `table`
ROOT = Path(__file__).parent.parent


class Benchmark(Protocol):
    """What a module in benchmarks/ offers."""

    def measure(self) -> dict[str, Any]:
        """The machine's facts, figures and targets, ready for JSON."""

    def table(self, results: dict[str, Any]) -> str:
        """The same for a reader."""


def load_benchmark(name: str) -> Benchmark:
    """The benchmark of that name in the clone that this package lies in."""
    if name not in BENCHMARKS:
        raise ConfigError(f"the benchmark must be one of {', '.join(BENCHMARKS)}, found {name!r}")
    if not (ROOT / "benchmarks" / f"{name}.py").is_file():
        raise ConfigError(
            f"enstack bench needs the repository's folder benchmarks, found none in {ROOT}: "
            "clone the repository, and run `make setup` and the command there"
        )
    if str(ROOT) not in sys.path:
        # An installed `enstack` starts without the clone on its path.
        sys.path.insert(0, str(ROOT))
    try:
        return cast(Benchmark, importlib.import_module(f"benchmarks.{name}"))
    except ModuleNotFoundError as error:
        peer = (error.name or "").split(".")[0]
        # A missing module of this project is a fault to be seen in full, not a peer to install.
        if peer in ("", "benchmarks", "enstack"):
            raise
        raise ConfigError(
            f"enstack bench {name} needs the peers it compares with, found no {peer}: "
            f"install it (pip install {peer}), or all of them with `make setup`"
        ) from error
