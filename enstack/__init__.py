"""enstack: fine-tune code models, stack them, and resume without paying twice."""

from __future__ import annotations

import os

from enstack import errors as errors

# Read when torch is loaded. OpenMP's threads spin while they wait for each other: beside another
# program on the same cores that made both many times as slow, and alone it gains next to nothing.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

TYPE_CHECKING = False  # type checkers take it for true, and importing typing takes longer than json
if TYPE_CHECKING:
    from typing import Any

    from enstack.api import (
        audit,
        clean,
        compare,
        configure,
        doctor,
        export,
        init,
        inspect,
        load,
        prepare,
        push,
        report,
        run,
        scan,
        stack,
        status,
        write_toy,
    )

__version__ = "0.1.0"
__all__ = [
    "audit",
    "clean",
    "compare",
    "configure",
    "doctor",
    "export",
    "init",
    "inspect",
    "load",
    "prepare",
    "push",
    "report",
    "run",
    "scan",
    "stack",
    "status",
    "write_toy",
]


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is asked for (PEP 562): importing enstack costs nothing."""
    if name in __all__:
        from enstack import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # So that completion offers what is not loaded yet.
    hidden = ("TYPE_CHECKING", "annotations", "os")
    return sorted({*__all__, *(name for name in globals() if name not in hidden)})
