from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.support.signals import signals_as_they_were

# Each xdist worker is a process of its own: more threads would only stand in each other's way.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A test that ends half-way takes no other with it."""
    with signals_as_they_were():
        yield
