"""The processes of a run as one group; a process alone is a group too, and waits for nobody."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from enstack.errors import LostProcess
from enstack.parallel.heartbeat import Heartbeat
from enstack.parallel.messages import from_text, to_text

__all__ = ["ALONE", "Group", "Processes", "acting_in", "current_group"]


class Group:
    """One process alone: it has nobody to tell anything, and its sums are what it has.

    rank: its number, from 0; the first leads: it decides, writes and speaks. size: how many there
    are. names: what each is called in a message.
    """

    rank, size = 0, 1
    names: Sequence[str] = ()
    kept: list[Any]  # models of which the others keep twins, in the order in which they were told

    def together(self) -> contextlib.AbstractContextManager[None]:
        """A block in which all do their part: a process that leaves it by an error is lost."""
        return contextlib.nullcontext()

    def tell(self, value: Any) -> None:
        """Have the others hear a value: plain ones, tensors, lists and dictionaries of them."""

    def mean(self, own: torch.Tensor, weight: float, total: float) -> torch.Tensor:
        """The mean () over all processes of what each has, by weights that are `total` together."""
        return own

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Leave in every process the sum of all processes' gradients."""

    def gather(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """Tensors of one shape from all processes, by rank, on the CPU; each process gets them."""
        return [tensor.cpu()]


ALONE = Group()
NAP, LONGEST_NAP = 0.1, 0.05  # between looks: of the time waited so far; seconds
_current: Group = ALONE  # a process is in one group, as it has one standard output


def current_group() -> Group:
    """The group that this process is in."""
    return _current


@contextlib.contextmanager
def acting_in(group: Group) -> Iterator[None]:
    """Let what the block computes be computed by a group."""
    global _current
    before, _current = _current, group
    try:
        yield
    finally:
        _current = before


class Processes(Group):
    """Several processes, which do the same acts in the same order.

    group: torch's process group. Raises LostProcess, from any act, where one of them is gone.
    """

    def __init__(self, group: Any, heartbeat: Heartbeat) -> None:
        self.rank, self.size = group.rank(), group.size()
        self.heartbeat, self._group = heartbeat, group
        self.names, self.broken, self.kept = heartbeat.names, False, []

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Mark the group as broken where a block of all ends by an error here."""
        try:
            yield
        except BaseException:
            self.broken = True
            raise

    def tell(self, value: Any) -> None:
        """Have the others hear a value."""
        text, tensors = to_text(value)
        content = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        for tensor in (torch.tensor([len(content)]), content, *tensors):
            self._from_first(tensor)

    def hear(self) -> Any:
        """Wait for what the first process tells next, however long; tensors are on the CPU."""
        self._from_first(length := torch.zeros(1, dtype=torch.int64))
        self._from_first(content := torch.empty(int(length), dtype=torch.uint8))
        return from_text(content.numpy().tobytes(), self._from_first)

    def mean(self, own: torch.Tensor, weight: float, total: float) -> torch.Tensor:
        """Add up what all processes have, by weights that are `total` together."""
        # In float64: a sum of many small shares keeps the digits of a loss in float32.
        mean = own.double() * (weight / total)
        self._sum(mean)
        return mean.to(own.dtype)

    def add_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Add up all processes' gradients."""
        # A parameter that no function needs has none, in any process alike.
        having = [one for one in parameters if one.grad is not None]
        # One vector, always laid out alike: whoever adds in another order gets other last bits.
        flat = torch.cat([one.grad.flatten() for one in having if one.grad is not None])
        self._sum(flat)
        pieces = torch.split(flat, [one.numel() for one in having])
        for parameter, piece in zip(having, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)

    def gather(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """Have the tensors of all processes, by rank, on the CPU."""
        tensor = tensor.cpu().contiguous()
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        self._finish(self._group.allgather([found], [tensor]))
        return found

    def _from_first(self, tensor: torch.Tensor) -> None:
        if tensor.numel():
            self._finish(self._group.broadcast(tensor, 0))

    def _sum(self, tensor: torch.Tensor) -> None:
        work = self._group.allreduce([tensor])
        if tensor.is_cuda:
            self.heartbeat.count()
            # The stream waits, and not this process: it goes on to the next batch.
            work.wait()
        else:
            self._finish(work)

    def _finish(self, work: Any) -> None:
        """Wait for an act of all, but no longer than all of them answer."""
        self.heartbeat.count()
        began = time.monotonic()
        with self.together():
            # Not in torch, which could be left neither by a signal nor where somebody has gone.
            while not work.is_completed():
                if trouble := self.heartbeat.check():
                    raise LostProcess(trouble)
                time.sleep(min(LONGEST_NAP, NAP * (time.monotonic() - began)))
            try:
                work.wait()
            except RuntimeError as error:  # a connection that has ended
                raise LostProcess(self.heartbeat.who_is_gone()) from error
