"""Whether a base model's files held all of it: the library makes up in silence what they lack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from enstack.finite import first_spoilt
from enstack.storage.json_text import parsed_json

__all__ = ["faulty_file", "require_vocabulary", "require_whole_encoder"]

SHOWN = 3  # tensors that a message names
# Each is one JSON object, where it is there.
JSON_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "adapter_config.json",
    "model.safetensors.index.json",
)
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "*.model")


def faulty_file(folder: Path) -> str | None:
    """Which file a base model's folder lacks, or holds damaged, in words; None if none is seen.

    Asked after a failed load, for a library's own words seldom name the file.
    """
    if not folder.is_dir():
        return "it is a file, and must be a folder."
    if not (folder / "config.json").is_file():
        return "there is no config.json in it."
    for name in JSON_FILES:
        if (folder / name).is_file() and (fault := _json_fault(folder / name)):
            return f"its {name} {fault}."
    if not any(path.is_file() for name in VOCABULARIES for path in folder.glob(name)):
        return "there is no tokenizer.json in it, nor another vocabulary."
    return None


def _json_fault(path: Path) -> str | None:
    try:
        content = parsed_json(path.read_bytes())
    except OSError as error:
        return f"can't be read ({error.strerror})"
    except ValueError:
        return "is cut or damaged: it is no JSON"
    return None if isinstance(content, dict) else "must hold a JSON object"


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
