"""A process that looks as if a launcher such as torchrun had started it."""

from __future__ import annotations

import pytest

LAUNCHED = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}


def launched(monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    """Set what a launcher sets."""
    for name, value in {**LAUNCHED, **more}.items():
        monkeypatch.setenv(name, value)
