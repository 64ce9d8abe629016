"""What processes tell each other arrives as it was; sums and means are those of all."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from enstack.errors import LostProcess
from enstack.parallel.group import ALONE, Processes
from enstack.parallel.heartbeat import SILENCE, Beat, Heartbeat
from enstack.parallel.messages import from_text, to_text
from tests.support.processes import in_threads


def test_a_value_arrives_as_it_was_told_tuples_as_lists() -> None:
    value = {
        "plain": [1, 0.1, None, True, "ä\n"],
        3: {"tensor": torch.tensor([[1.5, float("nan")]]), "empty": torch.zeros(0, 2)},
        "flags": torch.tensor([True, False]),
        "number": torch.tensor(7, dtype=torch.int64),
        "pair": (0.9, 0.999),
    }
    first, second = in_threads(2, lambda group: group.hear() if group.rank else group.tell(value))
    assert first is None
    assert second["plain"] == value["plain"]
    assert second["pair"] == [0.9, 0.999]
    assert second[3]["tensor"].isnan().tolist() == [[False, True]]
    assert second[3]["empty"].shape == (0, 2)
    assert second["flags"].dtype == torch.bool
    assert (second["number"], second["number"].dtype) == (7, torch.int64)


def test_nothing_is_unpickled() -> None:
    text, tensors = to_text({"one": torch.ones(2)})
    assert text == b'["dict", [["one", ["tensor", "float32", [2]]]]]'
    assert from_text(text, lambda tensor: tensor.copy_(tensors[0]))["one"].tolist() == [1, 1]
    with pytest.raises(TypeError, match="not JSON serializable"):
        to_text({"one": object()})


@pytest.mark.parametrize("size", [2, 3])
def test_means_gradients_and_what_is_gathered_are_those_of_all(size: int) -> None:
    def work(group: Processes) -> Any:
        used, unused = torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.zeros(3))
        used.grad = torch.full((2, 2), float(group.rank + 1))
        group.add_gradients([used, unused])
        mean = group.mean(torch.tensor(float(group.rank)), weight=group.rank, total=size)
        return used.grad, unused.grad, float(mean), group.gather(torch.tensor([group.rank]))

    for used, unused, mean, gathered in in_threads(size, work):
        assert used.tolist() == [[sum(range(1, size + 1))] * 2] * 2
        assert unused is None
        assert mean == pytest.approx(sum(rank * rank for rank in range(size)) / size)
        assert [int(one) for one in gathered] == list(range(size))


def test_a_process_alone_keeps_its_very_tensors() -> None:
    loss, parameter = torch.rand(()), torch.nn.Parameter(torch.zeros(2))
    parameter.grad = gradient = torch.rand(2)
    ALONE.tell({"anything": object()})
    ALONE.add_gradients([parameter])
    assert parameter.grad is gradient
    assert ALONE.mean(loss, 3.0, 7.0) is loss


class Store(dict[str, bytes]):
    """Stands for torch's store."""

    def set(self, key: str, value: str) -> None:
        self[key] = value.encode()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hearts(clock: Clock) -> list[Heartbeat]:
    """Of two processes, each of which has beaten once."""
    store, names = Store(), ["machine-a, pid 1", "machine-b, pid 2"]
    both = [Heartbeat(store, rank, names, clock) for rank in range(2)]
    store.set("1", str(Beat()))
    for heart in both:
        heart.look()
    return both


def test_whoever_beats_no_more_is_lost_after_thirty_seconds_and_named(
    hearts: list[Heartbeat], clock: Clock
) -> None:
    for rank, name in ((0, r"process 1 \(machine-b, pid 2\)"), (1, r"process 0 \(machine-a")):
        clock.now += SILENCE
        hearts[1 - rank].look()
        hearts[rank].look()
        assert hearts[rank].trouble is None
        clock.now += SILENCE + 1
        hearts[rank].look()
        assert hearts[rank].trouble is not None
        assert re.search(f"{name}.*has not answered for 30 s", hearts[rank].trouble)
        hearts[rank].trouble = None


def test_whoever_beats_but_stays_behind_all_others_hangs(
    hearts: list[Heartbeat], clock: Clock
) -> None:
    first, second = hearts
    for _ in range(3):
        clock.now += 0.1
        first.count()
    second.count()
    for _ in range(int(SILENCE) + 2):
        clock.now += 1
        second.look()
        first.look()
    assert "process 1 (machine-b, pid 2) hangs" in str(first.trouble)
    # The first has work that it does alone: it is waited for, however long.
    assert second.trouble is None


def test_one_whose_share_takes_this_process_long_too_is_waited_for_longer(
    hearts: list[Heartbeat], clock: Clock
) -> None:
    first, second = hearts
    first.count()
    clock.now += SILENCE
    first.count()
    for _ in range(3 * int(SILENCE)):
        clock.now += 1
        second.look()
        first.look()
    assert first.trouble is None


def test_a_process_that_ended_just_after_a_beat_is_named(
    hearts: list[Heartbeat], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(seconds: float) -> None:
        clock.now += seconds / 4
        hearts[0].look()
        clock.now += 3 * seconds / 4

    hearts[1].look()
    monkeypatch.setattr(hearts[0], "_ended", SimpleNamespace(wait=wait))
    assert "process 1 (machine-b, pid 2) has ended" in hearts[0].who_is_gone()


def test_a_store_that_gives_no_answer_is_the_loss_of_the_first_process(
    hearts: list[Heartbeat], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = hearts[1]
    monkeypatch.setattr(second, "_thread", SimpleNamespace(is_alive=lambda: True))
    clock.now += SILENCE
    assert second.check() is None
    clock.now += 1
    assert "process 0 (machine-a, pid 1) has not answered for 30 s" in str(second.check())


def test_a_wish_to_stop_and_a_fault_reach_the_first_process(hearts: list[Heartbeat]) -> None:
    first, second = hearts
    asked: list[bool] = []
    first.on_stop = lambda: asked.append(True)
    second.ask_for_stop()
    for _ in range(2):
        second.look()
        first.look()
    assert asked == [True]
    second.tell_fault("OutOfMemoryError: CUDA\nout of memory")
    first.look()
    assert "process 1 (machine-b, pid 2) can't go on: OutOfMemoryError: CUDA out of memory" in str(
        first.trouble
    )


class Stuck:
    """Stands for torch's group, and an act in it, of which another process never does its part."""

    def rank(self) -> int:
        return 0

    def size(self) -> int:
        return 2

    def allreduce(self, tensors: list[torch.Tensor]) -> Stuck:
        return self

    def is_completed(self) -> bool:
        return False


def test_trouble_ends_a_wait_for_the_others() -> None:
    group = Processes(Stuck(), Heartbeat(Store(), 0, ["a", "b"]))
    group.heartbeat.trouble = "process 1 is gone"
    with pytest.raises(LostProcess, match="process 1 is gone"):
        group.mean(torch.ones(()), 1, 2)
    assert group.broken
