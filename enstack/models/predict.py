"""Probabilities in example order: one road for the trainer's validation and the final stage."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch

from enstack.errors import Interrupted
from enstack.metrics.one_class import OneClass
from enstack.metrics.several_flags import SeveralFlags
from enstack.models.forward_pass import forward_pass
from enstack.models.hardware import Hardware
from enstack.models.loader import make_loader
from enstack.models.tokens import LabelledTokens
from enstack.models.twins import share_model
from enstack.progress.bars import Bar
from enstack.progress.screen import Level
from enstack.progress.stopping import StopRequest

Batch = dict[str, torch.Tensor]
# By the label task's problem_type: what makes probabilities of logits (n, k).
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    OneClass.problem_type: functools.partial(torch.softmax, dim=-1),
    SeveralFlags.problem_type: torch.sigmoid,
}


def predict_probabilities(
    model: torch.nn.Module,
    examples: LabelledTokens,
    hardware: Hardware,
    *,
    batch_size: int,
    pad_token_id: int,
    title: str,
    stop: StopRequest,
    level: Level = "batch",
    final: bool = False,
) -> np.ndarray:
    """Probabilities float32 (n_examples, n_classes); row i belongs to example i.

    They add up to 1 in a row, but for a model of several flags, where each stands by itself. The
    model must be on the hardware's device; final: it is trained no more.

    No random generator is touched. A stop that is asked for raises Interrupted: predictions are
    made again, they leave nothing behind.
    """
    batches = batches_by_length(examples.lengths, batch_size)
    loader = make_loader(examples, batches, pad_token_id=pad_token_id, hardware=hardware)
    group, said = hardware.group, list[torch.Tensor]()
    share_model(model, hardware, final=final)
    with predicting(model, hardware), Bar(len(batches), title, level=level) as bar:
        for of_all in _rounds(loader, group.size):
            if stop.requested:
                raise Interrupted(f"Stopped in {title}: it is done again next time.")
            group.tell({"do": "predict", "batches": of_all})
            # Left on the device: to fetch each one would make the loop wait for the GPU.
            said.append(batch_probabilities(model, of_all[0], hardware.device))
            bar.advance(len(of_all))
    return _in_example_order(_gathered(torch.cat(said), batches, hardware), batches)


@contextlib.contextmanager
def predicting(model: torch.nn.Module, hardware: Hardware) -> Iterator[None]:
    """What a model predicts in this block, it predicts fast: no gradients, no dropout."""
    model.eval()
    with torch.inference_mode(), hardware.kernels(), forward_pass(model, hardware):
        yield


def _rounds(loader: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """The batches in groups, one for each of `size` processes; the last one may be shorter."""
    iterator = iter(loader)
    while of_all := list(itertools.islice(iterator, size)):
        yield of_all


def _gathered(own: torch.Tensor, batches: list[list[int]], hardware: Hardware) -> torch.Tensor:
    """Probabilities (n, k) of all batches, in their order, from all processes.

    own: those of this process's batches, the first of each round.
    """
    group = hardware.group
    if group.size == 1:
        return own
    sizes = [[len(batch) for batch in batches[rank :: group.size]] for rank in range(group.size)]
    shape = max(map(sum, sizes)), own.shape[1]
    group.tell({"do": "collect", "shape": shape})
    parts = [
        torch.split(said[: sum(of_rank)], of_rank)
        for said, of_rank in zip(group.gather(padded(own, shape)), sizes, strict=True)
    ]
    # A batch from each process in turn; the last ones may have one less.
    turns = itertools.chain.from_iterable(itertools.zip_longest(*parts))
    return torch.cat([part for part in turns if part is not None])


def padded(probabilities: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """The same in a tensor of a shape that all processes' fit in; zeros fill it, on the CPU."""
    full = torch.zeros(shape)
    full[: len(probabilities)] = probabilities.cpu()
    return full


def batches_by_length(lengths: np.ndarray, batch_size: int) -> list[list[int]]:
    """Every row once, long ones first, so that memory runs out at the start or never."""
    # Stable: functions of one length are batched alike on every machine.
    rows = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    return [rows[i : i + batch_size].tolist() for i in range(0, len(rows), batch_size)]


def batch_probabilities(model: torch.nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
    """Probabilities float32 (n, k) of one batch, on the device."""
    logits: torch.Tensor = model(
        input_ids=batch["input_ids"].to(device, non_blocking=True),
        attention_mask=batch["attention_mask"].to(device, non_blocking=True),
    ).logits
    # Half precision ends here: a softmax in it adds up to 1 to three digits only.
    settings: Any = model.config
    return ACTIVATIONS[settings.problem_type](logits.float())


def _in_example_order(probabilities: torch.Tensor, batches: list[list[int]]) -> np.ndarray:
    rows = np.concatenate([np.asarray(batch) for batch in batches])
    ordered = np.empty(tuple(probabilities.shape), dtype=np.float32)
    ordered[rows] = probabilities.cpu().numpy()
    return ordered
