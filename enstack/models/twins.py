"""A model's twin in every other process of a run: made from what the first process tells."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from enstack.models.base_models import ATTENTION
from enstack.models.hardware import Hardware
from enstack.storage.json_text import parsed_json

__all__ = ["share_model", "take_weights", "twin_of"]


def share_model(model: Any, hardware: Hardware, *, final: bool = False) -> None:
    """Give every other process a twin of a model, or its weights where it has one already.

    final: nobody trains the model any more, so its twin is kept, and its weights are sent once. No
    file is read there: another machine need have neither the run folder nor the base model.
    """
    group = hardware.group
    if group.size == 1:
        return
    places = [place for place, kept in enumerate(group.kept) if kept is model]
    if final and places:
        group.tell({"do": "kept_model", "place": places[0]})
        return
    settings = model.config.to_json_string(use_diff=False)
    asked = {"do": "model", "settings": settings, "weights": model.state_dict(), "final": final}
    how = {"precision": hardware.precision, "deterministic": hardware.deterministic}
    group.tell({**asked, **how})
    if final:
        group.kept.append(model)


def twin_of(settings: str) -> torch.nn.Module:
    """A classifier of the same shape with random weights; the random generator is left alone."""
    values = parsed_json(settings)
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    config._attn_implementation = ATTENTION
    with torch.random.fork_rng(devices=[]):
        model: torch.nn.Module = AutoModelForSequenceClassification.from_config(
            config,
            attn_implementation=ATTENTION,
            dtype=torch.float32,
            trust_remote_code=False,
        )
    return model


def take_weights(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Put weights into a model, on whichever device it is."""
    model.load_state_dict(weights)
