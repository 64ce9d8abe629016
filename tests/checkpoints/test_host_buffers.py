from __future__ import annotations

import torch

from enstack.checkpoints.host_buffers import HostBuffers


def test_a_copy_is_untouched_by_what_happens_to_the_original() -> None:
    count = torch.zeros(())
    state = {"w": torch.ones(3), "steps": [count, 7], "name": "x", "pair": (1, 2.5)}
    copy = HostBuffers().copy(state)
    state["w"].fill_(5)  # type: ignore[union-attr]
    count.add_(1)
    state["steps"].append(8)  # type: ignore[union-attr]
    assert copy["w"].tolist() == [1, 1, 1]
    assert copy["steps"] == [torch.zeros(()), 7]
    assert (copy["name"], copy["pair"]) == ("x", (1, 2.5))


def test_the_memory_is_used_again_while_shapes_stay_the_same() -> None:
    buffers = HostBuffers()
    first = buffers.copy({"w": torch.zeros(4), "m": {"w": torch.zeros(2)}})
    second = buffers.copy({"w": torch.ones(4), "m": {"w": torch.ones(3)}})
    assert second["w"].data_ptr() == first["w"].data_ptr()
    assert first["w"].tolist() == [1, 1, 1, 1]
    assert second["m"]["w"].tolist() == [1, 1, 1]


def test_a_tensor_that_is_part_of_a_larger_one_is_copied_alone() -> None:
    part = torch.arange(12).reshape(3, 4)[:, 1]
    copy = HostBuffers().copy({"part": part})["part"]
    assert copy.tolist() == [1, 5, 9]
    assert copy.is_contiguous()
    assert copy.untyped_storage().nbytes() == 24
