"""What a base model's files may not bring along: code, attention from a hub, an adapter's model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.utils import find_adapter_config_file

from enstack.errors import ConfigError
from enstack.storage.json_text import parsed_json

__all__ = ["refuse_foreign_code"]

# What asks for code that is not the library's, or for other weights than these files hold.
FOREIGN = ("auto_map", "custom_pipelines", "quantization_config")
IMPLEMENTATIONS = ("attn_implementation", "experts_implementation")


def refuse_foreign_code(location: str) -> None:
    """Read a model's settings, its folder's or hub id's, and refuse those that name foreign code.

    Nothing is loaded yet: `trust_remote_code=False` alone would take the library's own class where
    it knows the name, whose weights are others. Raises ConfigError; OSError for files out of reach.
    """
    _refuse_adapter(location)
    config, _ = PreTrainedConfig.get_config_dict(location)
    for file, settings in {
        "config.json": config,
        "tokenizer_config.json": get_tokenizer_config(location),
    }.items():
        if not isinstance(settings, dict):
            raise ValueError(f"{file} must hold a JSON object")
        for key, value in _foreign(settings):
            _refuse(location, file, f"{key}: {json.dumps(value)[:100]}", f"a copy without {key}")


def _foreign(settings: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The settings that ask for foreign code, those of parts of a model too."""
    for key, value in settings.items():
        if key in FOREIGN and value:
            yield key, value
        # A name with a slash is a hub's repository of kernels: compiled code.
        if key.strip("_").startswith(IMPLEMENTATIONS) and "/" in json.dumps(value):
            yield key, value
        if isinstance(value, dict):
            yield from _foreign(value)


def _refuse_adapter(location: str) -> None:
    """Refuse an adapter: where peft is installed, the library fetches the model that it names."""
    path = find_adapter_config_file(location)
    if path is not None:
        named = parsed_json(Path(path).read_bytes()).get("base_model_name_or_path")
        remedy = "the model into which peft's merge_and_unload() has put the adapter"
        _refuse(location, "adapter_config.json", f"an adapter of {json.dumps(named)[:100]}", remedy)


def _refuse(location: str, file: str, found: str, remedy: str) -> None:
    raise ConfigError(
        f"A base model must be whole and without code of its own; {location} is not.\n"
        f"{file} names {found}.\n"
        "Take a model of a type that transformers has built in, such as roberta, or "
        f"{remedy} if its weights fit such a type."
    )
