"""Whether a base model's files held all of it: the library makes up in silence what they lack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enstack.finite import first_spoilt

__all__ = ["require_vocabulary", "require_whole_encoder"]

SHOWN = 3  # tensors that a message names


def require_whole_encoder(model: Any, loaded: Mapping[str, Any]) -> None:
    """Raise ValueError where weights of the encoder were not in the file, or are no numbers.

    loaded: what the library says of its loading. The head may be new, and the pooler before it,
    which pretraining by masked words leaves out.
    """
    encoder = [name for name, _ in model.named_parameters() if _is_encoder(name, model)]
    lacking = sorted({*loaded["missing_keys"]}.intersection(encoder))
    if lacking:
        raise ValueError(
            f"its weights lack {len(lacking):,} of the encoder's {len(encoder):,} tensors "
            f"({_some(lacking)})."
        )
    shapes = {
        name: (tuple(found), tuple(asked)) for name, found, asked in loaded["mismatched_keys"]
    }
    other = [
        f"{name} is {shapes[name][0]}, not {shapes[name][1]}" for name in encoder if name in shapes
    ]
    if other:
        raise ValueError(
            f"{len(other):,} of the encoder's {len(encoder):,} tensors have other shapes than "
            f"config.json says ({_some(other)})."
        )
    if spoilt := first_spoilt(model.named_parameters()):
        raise ValueError(f"its weights hold NaN or infinite numbers, in {spoilt}.")


def require_vocabulary(tokenizer: Any, config: Any) -> None:
    """Raise ValueError where the vocabulary is not even half as large as the encoder's.

    Without its files the library makes one of a few special tokens: every text would be empty.
    """
    wanted = getattr(config.get_text_config(), "vocab_size", None) or 0
    if 2 * len(tokenizer) < wanted:
        raise ValueError(
            f"its tokenizer knows {len(tokenizer):,} tokens, and the encoder {wanted:,}: files of "
            "the tokenizer are missing or damaged."
        )


def _is_encoder(name: str, model: Any) -> bool:
    first, *rest = name.split(".")
    return first == model.base_model_prefix and "pooler" not in rest


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
