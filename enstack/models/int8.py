"""An encoder's layers in int8 on a CPU: numbers of 8 bits are multiplied several times as fast."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

__all__ = ["Int8Linear", "has_int8", "in_int8", "why_no_int8"]

LARGEST, ZERO = 127, 128  # of signed numbers, and where theirs lies among unsigned ones
# Without them the sums of products overflow unsaid, and little is gained.
INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8")


def why_no_int8() -> str:
    """What this machine lacks for int8, in words; empty where it has all."""
    if torch.cuda.is_available():
        return "a GPU is faster without"
    if not has_int8():
        return "this processor, or this torch, has no instructions for it (VNNI)"
    return ""


def has_int8() -> bool:
    """Whether processor and torch multiply numbers of 8 bits."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    kernels = hasattr(torch.ops.onednn, "qlinear_pointwise")
    return kernels and any(one in flags for one in INSTRUCTIONS)


class Int8Linear(torch.nn.Module):
    """A linear layer whose weights are int8, a scale each output; inputs are, a scale each token.

    A token's outputs depend on no other, so that a function's do not on what it is judged beside.
    """

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        self.scales = weight.abs().amax(dim=1).clamp(min=torch.finfo().tiny) / LARGEST
        rounded = (weight / self.scales[:, None]).round().to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        self.zeros = torch.zeros(len(self.scales), dtype=torch.int64)
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Outputs (..., n_out) float32 of inputs (..., n_in) float32."""
        rows = inputs.reshape(-1, inputs.shape[-1])
        # abs() would make a copy, and a norm is not vectorized.
        top = torch.maximum(rows.amax(1, keepdim=True), rows.amin(1, keepdim=True).neg_())
        top = top.clamp_(min=1e-30)
        signed = torch.mul(rows, LARGEST / top).round_().to(torch.int8)
        # The kernel takes unsigned inputs: by this bit they are the signed ones, and 128.
        unsigned = signed.view(torch.uint8).bitwise_xor_(ZERO)
        summed: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            *(unsigned, 1.0, ZERO, self.packed, self.scales, self.zeros, None),
            *(1.0, 0, torch.float32, "none", [], ""),
        )
        made = summed.mul_(top / LARGEST)
        if self.bias is not None:
            made += self.bias
        return made.reshape(*inputs.shape[:-1], -1)


def in_int8(classifier: Any) -> Any | None:
    """A copy whose encoder's linear layers are int8, and all else shared; it has no gradients.

    None for other families than RoBERTa, which all three base models are of.
    """
    # It takes seconds, and a scan that asks for instructions alone need not wait.
    from transformers import RobertaForSequenceClassification

    if not isinstance(classifier, RobertaForSequenceClassification):
        return None
    kept = (*classifier.parameters(), *classifier.buffers())
    quick = copy.deepcopy(classifier, {id(tensor): tensor for tensor in kept})
    for module in list(quick.roberta.encoder.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear:
                setattr(module, name, Int8Linear(child))
    return quick
