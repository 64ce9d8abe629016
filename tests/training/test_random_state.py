from __future__ import annotations

import io
import random

import numpy as np
import torch

from enstack.training.random_state import random_state, restore_random_state, seed_everything


def draw() -> tuple[float, float, float, float]:
    return (
        random.gauss(0, 1),
        float(np.random.normal()),
        float(np.random.rand()),
        float(torch.rand(1)),
    )


def test_every_generator_goes_on_where_it_was_through_a_weights_only_file() -> None:
    seed_everything(3)
    draw()
    file = io.BytesIO()
    torch.save(random_state(), file)
    expected = [draw() for _ in range(5)]
    seed_everything(4)
    file.seek(0)
    restore_random_state(torch.load(file, weights_only=True))
    assert [draw() for _ in range(5)] == expected
