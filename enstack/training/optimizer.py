"""AdamW, the learning-rate schedule and loss scaling: one optimizer step, without a host sync."""

from __future__ import annotations

from typing import Any

import torch


def learning_rates(
    total_steps: int, *, peak: float, warmup_ratio: float, scheduler: str
) -> torch.Tensor:
    """Learning rate of every optimizer step, float32 (total_steps + 1,).

    It rises linearly from 0 over the warm-up, then falls to 0, linearly or as half a cosine: the
    schedules of the BERT fine-tuning recipe (Devlin et al. 2019; transformers' optimization.py).
    """
    # One rate more than there are steps: after the last one the next rate is still asked for.
    # In float64, so that a rate is rounded once, at the end.
    steps = torch.arange(total_steps + 1, dtype=torch.float64)
    warmup = int(warmup_ratio * total_steps)
    # No warm-up, or nothing but warm-up, must not divide by 0.
    rise = steps / max(1, warmup)
    done = (steps - warmup).clamp(min=0) / max(1, total_steps - warmup)
    fall = 1 - done if scheduler == "linear" else 0.5 * (1 + torch.cos(torch.pi * done))
    return (peak * torch.where(steps < warmup, rise, fall)).float()


class ScheduledOptimizer:
    """AdamW over a model's parameters with its schedule and its loss scale.

    The learning rate is a tensor on the model's device, looked up by the number of steps that were
    applied, which lives there too: a step that the scaler skips advances neither, and nothing has
    to be asked of the GPU. `attempted` counts all steps.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        rates: torch.Tensor,
        *,
        weight_decay: float,
        max_grad_norm: float,
        precision: str,
    ) -> None:
        # In the model's order and in one group: so do users' old checkpoints hold AdamW's moments.
        self.parameters = list(model.parameters())
        self.device = self.parameters[0].device
        self.rates = rates.to(self.device)
        # One tensor for good, filled anew before each step: AdamW holds on to it.
        self.rate = self.rates[0].clone()
        self.max_grad_norm, self.attempted = max_grad_norm, 0
        # Fused kernels take the rate as a tensor and skip a step with infinite gradients by
        # themselves; for others GradScaler asks the GPU, and the loop waits.
        self.adamw = torch.optim.AdamW(
            self.parameters, lr=self.rate, weight_decay=weight_decay, fused=True
        )
        # bf16 has the range of float32: only fp16 gradients vanish without a scale.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")

    def backward(self, loss: torch.Tensor) -> None:
        """Add a loss's gradients, scaled where the precision asks for it."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def step(self) -> torch.Tensor:
        """Clip, look up the learning rate, step, and clear the gradients.

        Returns the norm () that the gradients had before they were clipped; it stays on the device.
        """
        # max_grad_norm is meant for the gradients themselves, not for those times the loss scale.
        self.scaler.unscale_(self.adamw)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
        place = self._applied().long().clamp(max=len(self.rates) - 1)
        # The place stays on the device: a plain index would make the loop wait for the GPU.
        self.rate.copy_(self.rates.index_select(0, place.reshape(1)).squeeze())
        self.scaler.step(self.adamw)
        self.scaler.update()
        self.adamw.zero_grad(set_to_none=True)
        self.attempted += 1
        return norm

    @property
    def skips_bad_steps(self) -> bool:
        """Whether a step whose gradients are no numbers leaves the weights as they are."""
        return self.scaler.is_enabled()

    def loss_scale(self) -> float:
        """What the loss is multiplied by, 1 without loss scaling; reads from the device."""
        return float(self.scaler.get_scale())

    def applied_steps(self) -> int:
        """Steps that changed the weights; reads from the device, so ask when logging or saving."""
        return int(self._applied())

    def next_rate(self) -> float:
        """Learning rate of the next step; reads from the device."""
        return float(self.rates[min(self.applied_steps(), len(self.rates) - 1)])

    def _applied(self) -> torch.Tensor:
        """AdamW's own count, which fused kernels leave alone when gradients are not finite."""
        # Any parameter's count serves: they all step together. Before the first step there is none.
        for state in self.adamw.state.values():
            return torch.as_tensor(state["step"], device=self.device)
        return torch.zeros((), device=self.device)

    def state_dict(self) -> dict[str, Any]:
        """Optimizer, schedule and scaler in the shape that torch's own classes save."""
        adamw = self.adamw.state_dict()
        rate, applied = self.next_rate(), self.applied_steps()
        # As a number, as torch's own schedules leave it; here it is a tensor on the device.
        groups = [{**group, "lr": rate} for group in adamw["param_groups"]]
        return {
            "optimizer_state_dict": {**adamw, "param_groups": groups},
            # Not read again: on resume the schedule follows from AdamW's own count.
            "scheduler_state_dict": {
                "last_epoch": applied,
                "_step_count": applied + 1,
                "_last_lr": [rate],
            },
            "scaler_state_dict": self.scaler.state_dict(),
            "attempted_steps": self.attempted,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; learning rate and weight decay stay as configured."""
        saved = state["optimizer_state_dict"]
        # Old torch stored the count as a number; fused kernels want a tensor.
        slots = {
            place: {**slot, "step": torch.as_tensor(slot["step"], dtype=torch.float32)}
            for place, slot in saved["state"].items()
        }
        settings = {k: v for k, v in self.adamw.param_groups[0].items() if k != "params"}
        groups = [{**group, **settings} for group in saved["param_groups"]]
        self.adamw.load_state_dict({"state": slots, "param_groups": groups})
        # torch copies the settings: the learning rate must be our tensor again.
        self.adamw.param_groups[0]["lr"] = self.rate
        # Precision may change between two calls: a run in fp32 has left no scale.
        if self.scaler.is_enabled() and state.get("scaler_state_dict"):
            self.scaler.load_state_dict(state["scaler_state_dict"])
        self.attempted = int(state["attempted_steps"])
