"""Three tiny base models in the hub's own layout, made offline."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from enstack.storage.caches import is_usable, making_cache
from enstack.storage.manifest import write_manifest


class TinyModel(NamedTuple):
    """The shape of one tiny encoder."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    mode_token: str | None = None


# Each has its own vocabulary, as UniXcoder has: the tokens of one serve no other.
TINY_SHAPES = {
    "tiny-a": TinyModel(vocabulary=680, hidden=64, layers=2, heads=2),
    "tiny-b": TinyModel(vocabulary=1200, hidden=80, layers=2, heads=4),
    "tiny-c": TinyModel(vocabulary=600, hidden=96, layers=2, heads=3, mode_token="<encoder-only>"),
}
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
MAX_TOKENS = 512


def make_tiny_models(folder: Path, sources: Iterable[str], *, seed: int = 42) -> dict[str, Path]:
    """Make three small RoBERTa-like encoders, each with a tokenizer trained on the sources.

    Each lies in its own folder as on the hub, with random weights; tiny-c has UniXcoder's mode
    token. A folder that is whole and was made from the same sources and seed is left alone.
    """
    texts = list(sources)
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    paths = {name: folder / name for name in TINY_SHAPES}
    for number, (name, path) in enumerate(paths.items()):
        made_from = {"sources": digest, "seed": seed, "shape": list(TINY_SHAPES[name])}
        if not is_usable(path, made_from):
            with making_cache(path, made_from) as beside:
                write_encoder(beside, TINY_SHAPES[name], texts, seed + number)
                write_manifest(beside, made_from=made_from)
    return paths


def write_encoder(path: Path, shape: TinyModel, texts: list[str], seed: int) -> None:
    """Write a RoBERTa-like encoder with random weights and a tokenizer trained on the texts."""
    # Imported here: the toy data alone needs neither, and they take seconds.
    import torch
    from safetensors.torch import save_file
    from transformers import RobertaConfig, RobertaModel

    tokenizer = make_tokenizer(shape, texts)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=2 * shape.hidden,
        # RoBERTa counts places from after the padding's id, 1: the first is 2.
        max_position_embeddings=MAX_TOKENS + 2,
        type_vocab_size=1,
        initializer_range=0.08,
        # Dropout on attention makes a CPU step two to three times as slow; in the layers it keeps
        # so small a model from learning in a few epochs. The head keeps it.
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=0.0,
        classifier_dropout=0.1,
        **{f"{word}_token_id": SPECIAL_TOKENS.index(token) for word, token in _ROLES.items()},
    )
    # The caller's random numbers stay as they were.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # no GPU's: those are not put back
        model = RobertaModel(config, add_pooling_layer=False)
        # From scratch, words are learnt sooner than places: let those speak first.
        model.embeddings.position_embeddings.weight.data.mul_(0.05)
    # What the model's own save_pretrained would have filled in.
    config.architectures = ["RobertaModel"]
    config.save_pretrained(path)
    # Not save_pretrained, which draws a progress bar for these few kilobytes.
    save_file(model.state_dict(), path / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(path)


_ROLES = {"bos": "<s>", "eos": "</s>", "pad": "<pad>"}


def make_tokenizer(shape: TinyModel, texts: list[str]) -> Any:
    """A byte-level BPE tokenizer that writes <s> ... </s>, as RoBERTa's does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=shape.vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        # Every byte has a token, so that no text becomes <unk>.
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False, trim_offsets=True
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=MAX_TOKENS,
    )
    if shape.mode_token:
        tokenizer.add_special_tokens({"additional_special_tokens": [shape.mode_token]})
    return tokenizer
