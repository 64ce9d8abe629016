"""Base models by name: weights, tokenizer, mode tokens, configuration."""

from __future__ import annotations

import contextlib
import copy
import difflib
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before transformers: skops searches the loaded modules, in the order of import, for scipy's
# functions, and Colab's transformers (5.15) imports every image model when it is searched.
import scipy.special  # noqa: F401
import torch
from huggingface_hub.errors import StrictDataclassError
from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from enstack.config import HUB_IDS as HUB_IDS
from enstack.config import TINY_MODELS
from enstack.errors import ConfigError
from enstack.metrics.one_class import OneClass
from enstack.models.foreign_code import refuse_foreign_code
from enstack.models.whole import faulty_file, require_vocabulary, require_whole_encoder
from enstack.storage.files import digest_of_ends, sha256_json
from enstack.storage.manifest import files_below
from enstack.storage.pickles import UNREADABLE, why_unreadable

# UniXcoder is told by this token, after the first one, to work as an encoder (Guo et al. 2022).
ENCODER_ONLY = "<encoder-only>"
ATTENTION = "sdpa"  # torch's own
# What the library raises at files that are absent, cut or say something else than they should;
# safetensors raises a class of its own, no OSError: a cut file ended in a traceback. So does the
# hub's library, of a configuration with a word where a number should be.
UNLOADABLE = (*UNREADABLE, ImportError, SafetensorError, StrictDataclassError)


@dataclass(frozen=True)
class BaseModel:
    """A base model's name in this run, and the hub id or folder that it is loaded from."""

    name: str
    location: str


def load_tokenizer(base_model: BaseModel) -> Any:
    """The fast tokenizer of a base model."""
    with _quiet(), _explained(base_model):
        refuse_foreign_code(base_model.location)
        tokenizer = AutoTokenizer.from_pretrained(base_model.location, trust_remote_code=False)
        config = AutoConfig.from_pretrained(base_model.location, trust_remote_code=False)
        require_vocabulary(tokenizer, config)
    # Functions go to the tokenizer's backend directly; slow tokenizers have none.
    if not getattr(tokenizer, "is_fast", False):
        raise ConfigError(
            f"A base model needs a fast tokenizer (tokenizer.json); {base_model.location} has none."
        )
    return tokenizer


def tokenizer_digest(tokenizer: Any) -> str:
    """Sha256 of all that decides how text becomes tokens, as hex."""
    with _without_call_settings(tokenizer):
        text = tokenizer.backend_tokenizer.to_str()
    return sha256_json([text, mode_tokens(tokenizer)])


@contextlib.contextmanager
def _without_call_settings(tokenizer: Any) -> Iterator[None]:
    """Put aside the truncation and padding that a call has left behind: they are no vocabulary."""
    backend = tokenizer.backend_tokenizer
    truncation, padding = backend.truncation, backend.padding
    # Or what is saved and hashed would tell whether the tokens had come from a cache.
    backend.no_truncation()
    backend.no_padding()
    try:
        yield
    finally:
        if truncation:
            backend.enable_truncation(**truncation)
        if padding:
            backend.enable_padding(**padding)


def mode_tokens(tokenizer: Any) -> list[int]:
    """Token ids that belong after the first one: UniXcoder's mode and a separator, or none."""
    # Not from get_vocab, which makes a dictionary of all 50,000 tokens: that takes 20 to 100 ms.
    mode = tokenizer.backend_tokenizer.token_to_id(ENCODER_ONLY)
    return [] if mode is None else [mode, tokenizer.sep_token_id]


def load_classifier(
    base_model: BaseModel,
    class_names: tuple[str, ...],
    *,
    seed: int,
    problem_type: str = OneClass.problem_type,
) -> torch.nn.Module:
    """A base model with a classification head for these classes, fp32, on the CPU.

    problem_type: that of the label task. The new head's weights depend on the seed alone; the
    global random generator is left as it was.
    """
    names = dict(enumerate(class_names))
    config = encoder_config(
        base_model,
        num_labels=len(class_names),
        # Saved in config.json, so that a model brings the names of its classes along.
        id2label=names,
        label2id={name: number for number, name in names.items()},
        problem_type=problem_type,
    )
    with _quiet(), _explained(base_model), torch.random.fork_rng(devices=[]):
        # The CPU's alone, where the head is made: torch.manual_seed would wake every GPU.
        torch.default_generator.manual_seed(seed)
        model, loaded = AutoModelForSequenceClassification.from_pretrained(
            base_model.location,
            config=config,
            attn_implementation=ATTENTION,
            trust_remote_code=False,
            # Whatever the file holds: half precision would swallow AdamW's small updates.
            dtype=torch.float32,
            # A folder fine-tuned for other classes lends its encoder, not its head.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        require_whole_encoder(model, loaded)
    return _detached_from_file(model)


def classifier_files(model: Any, tokenizer: Any) -> dict[str, bytes]:
    """All that lies beside the weights in the hub's own layout: configuration and tokenizer."""
    config = copy.deepcopy(model.config)
    # What the model's own save_pretrained would add; but it would write the weights as well.
    config.architectures = [type(model).__name__]
    config.dtype = str(model.dtype).removeprefix("torch.")
    # Both save to folders only; here the bytes are wanted, to be hashed as they are written.
    with tempfile.TemporaryDirectory() as name, _quiet(), _without_call_settings(tokenizer):
        config.save_pretrained(name)
        tokenizer.save_pretrained(name)
        return {file: (Path(name) / file).read_bytes() for file in files_below(Path(name))}


def _detached_from_file(model: torch.nn.Module) -> torch.nn.Module:
    """Copy weights that are mapped from their file, which a later save may cut short."""
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()
    return model


def require_length(base_model: BaseModel, max_length: int) -> None:
    """Refuse a max_length beyond the positions that a base model has."""
    refuse_length(base_model, encoder_config(base_model), max_length)


def refuse_length(base_model: BaseModel, config: Any, max_length: int) -> None:
    """The same, where the model's configuration is at hand."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return
    # RoBERTa counts positions from the padding id on (Liu et al. 2019, the released code).
    first = _padding(base_model, config) + 1 if "roberta" in config.model_type else 0
    limit = positions - first
    if max_length > limit:
        raise ConfigError(
            f"max_length must be at most {limit} for {base_model.name}, found {max_length}."
        )


def _padding(base_model: BaseModel, config: Any) -> int:
    """The id of the padding token of an encoder that can't do without one."""
    padding, vocabulary = config.pad_token_id, config.vocab_size
    if padding is None or not 0 <= padding < vocabulary:
        raise ConfigError(
            f"pad_token_id in the config.json of {base_model.name} ({base_model.location}) must be "
            f"an id of its vocabulary, 0 to {vocabulary - 1:,}; found {padding}. Put a good copy "
            "of config.json there."
        )
    return int(padding)


def encoder_config(base_model: BaseModel, **labels: Any) -> Any:
    """The configuration of a base model: its layers, width, vocabulary; `labels` set in it."""
    with _quiet(), _explained(base_model):
        refuse_foreign_code(base_model.location)
        config = AutoConfig.from_pretrained(base_model.location, trust_remote_code=False, **labels)
        # What the file names wins over an argument: transformers would fetch kernels from a hub.
        config._attn_implementation = ATTENTION
        return config


def architecture(base_model: BaseModel) -> str | None:
    """What kind of encoder a base model is, for people; None where it can't be read just now."""
    try:
        config = encoder_config(base_model)
    except ConfigError:
        return None
    layers, width = getattr(config, "num_hidden_layers", "?"), getattr(config, "hidden_size", "?")
    vocabulary = getattr(config, "vocab_size", "?")
    return f"{config.model_type} of {layers} layers, width {width}, vocabulary {vocabulary}"


def weights_fingerprint(base_model: BaseModel) -> str | None:
    """Tells the weights in a local folder from others by size and both ends; None for a hub id.

    A whole hash would read half a gigabyte at every start, perhaps from slow storage.
    """
    folder = Path(base_model.location)
    for path in (folder / name for name in ("model.safetensors", "pytorch_model.bin")):
        if path.is_file():
            return f"{path.stat().st_size:,} bytes, {digest_of_ends(path)[:12]}"
    return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the notes on a new head's weights and the loading bars: both are expected here."""
    level = transformers_logging.get_verbosity()
    hub_level = hub_logging.get_verbosity()
    hub_logging.set_verbosity(logging.ERROR)
    had_bar = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        hub_logging.set_verbosity(hub_level)
        if had_bar:
            transformers_logging.enable_progress_bar()


def _suggestion(base_model: BaseModel) -> str:
    nearest = difflib.get_close_matches(base_model.name, (*HUB_IDS, *TINY_MODELS), n=1, cutoff=0.7)
    return f" Did you mean {nearest[0]}?" if nearest and nearest[0] != base_model.name else ""


@contextlib.contextmanager
def _explained(base_model: BaseModel) -> Iterator[None]:
    """Turn a failed load into one sentence that says which files to put where."""
    try:
        yield
    except Exception as error:
        # Of damaged files the tokenizers library raises no class of its own.
        if not isinstance(error, UNLOADABLE) and type(error) is not Exception:
            raise
        folder = Path(base_model.location)
        reason = (faulty_file(folder) if folder.exists() else None) or _reason(error)
        # A hub id looks like a relative path: only these are folders for sure.
        if str(folder).startswith(("/", "./", "../")) and not folder.exists():
            reason = "there is no such folder."
        files = (
            "config.json, model.safetensors and the tokenizer's files (tokenizer.json, or "
            "vocab.json and merges.txt)"
        )
        advice = f"Put {files} into a folder (and name it in base_models), or go online."
        if folder.is_dir():
            advice = f"Put {files}, all good copies of one model, into the folder."
        raise ConfigError(
            f"The base model {base_model.name} can't be loaded from {base_model.location}: "
            f"{reason}{_suggestion(base_model)}\n{advice}"
        ) from error


def _reason(error: Exception) -> str:
    """What a library says of files that are all there, in a sentence that names the file."""
    if isinstance(error, SafetensorError):
        return f"its model.safetensors is cut or damaged: {why_unreadable(error)}."
    if isinstance(error, StrictDataclassError):
        return f"its config.json is wrong: {why_unreadable(error.__cause__ or error)}."
    if type(error) is Exception:
        return f"its tokenizer.json is damaged: {why_unreadable(error)}."
    return why_unreadable(error)
