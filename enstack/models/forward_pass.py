"""The context of every forward pass: its precision, and what of it need not be computed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from enstack.models.dropout import cheap_dropout
from enstack.models.first_token import first_token_alone
from enstack.models.hardware import Hardware

__all__ = ["forward_pass"]


@contextlib.contextmanager
def forward_pass(model: torch.nn.Module, hardware: Hardware) -> Iterator[None]:
    """Have a model compute at the hardware's precision, of its last layer what its head reads.

    A training on a CPU drops by masks of our own, see dropout.py.
    """
    with hardware.autocast(), first_token_alone(model), cheap_dropout(model):
        yield
