"""Toy data in the shape of Draper VDISC, and three tiny base models: all made offline.

The functions are written here, from templates. What makes one vulnerable is mostly a relation:
the bound of a copy and the size of its buffer, a check before or after the use, two pointers into
one array or into two. Safe blocks of every kind stand in every class.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import h5py
import numpy as np

from enstack.errors import ConfigError, EnstackError
from enstack.fake_vdisc import write_fake_vdisc
from enstack.files import write_bytes
from enstack.labels import CWE_CLASSES
from enstack.manifest import is_current, write_manifest
from enstack.readers import VDISC_NAMES
from enstack.templates import BLOCKS, COMMENTS, FILLERS

TOY_EDITION = 2  # raise when the functions change, so that no cached copy of old ones is used
TOY_SIZES = {"train": 600, "validation": 240, "test": 240}
LABEL_NOISE = 0.04  # share of functions with a wrong class, as tools that label are wrong at times
SHARE_LONG = 0.015  # share of functions longer than most models read
# Share of each class among functions, in the order of CWE_CLASSES; the rest is clean.
CLASS_SHARES = (0.20, 0.18, 0.08, 0.15, 0.17)


VERBS = ("read", "parse", "copy", "get", "set", "open", "update", "send", "load", "scan")
# Functions of one class tend to do the same kind of work.
USUAL_VERBS = {
    "CWE-119": "read",
    "CWE-120": "copy",
    "CWE-469": "scan",
    "CWE-476": "get",
    "CWE-other": "open",
    "clean": "set",
}
USUAL = 0.3  # share of functions with their class's usual verb
NOUNS = ("header", "packet", "name", "entry", "frame", "option", "table", "record", "path", "key")
POOLS = {
    "b": ("buf", "tmp", "line", "data", "dest", "out", "cache", "field"),
    "p": ("cur", "ptr", "head", "item", "first", "res"),
    "q": ("end", "last", "tail", "pos", "other"),
    "i": ("i", "j", "n", "len", "idx", "pos", "cnt"),
}
BUFFER_SIZES = (16, 32, 48, 64, 100, 128, 256)


def write_toy_data(folder: Path, *, seed: int = 42, sizes: Mapping[str, int] = TOY_SIZES) -> Path:
    """Write three VDISC_*.hdf5 files of made-up functions, byte for byte the same for a seed."""
    random = Random(seed)
    for split, size in sizes.items():
        functions = [_function(random, name) for name in _class_of_each(random, size)]
        write_bytes(folder / f"{VDISC_NAMES[split]}.hdf5", _vdisc_bytes(functions))
    return folder


def _vdisc_bytes(functions: list[tuple[str, set[str]]]) -> bytes:
    """An HDF5 file as VDISC has them: five boolean columns and variable-length UTF-8."""
    file = io.BytesIO()
    with h5py.File(file, "w") as hdf5:
        for name in CWE_CLASSES:
            hdf5[name] = np.array([name in flags for _, flags in functions], dtype=bool)
        sources = np.array([source.encode() for source, _ in functions], dtype=object)
        hdf5.create_dataset("functionSource", data=sources, dtype=h5py.string_dtype())
    return file.getvalue()


def _class_of_each(random: Random, size: int) -> list[str]:
    """A class for each function of a split, in the shares above, shuffled."""
    names = [
        name
        for name, share in zip(CWE_CLASSES, CLASS_SHARES, strict=True)
        for _ in range(round(size * share))
    ]
    names = [*names, *["clean"] * size][:size]
    random.shuffle(names)
    return names


def _function(random: Random, name: str) -> tuple[str, set[str]]:
    """One function's text and its flags; name is its class."""
    unsafe = {name} - {"clean"}
    if unsafe and random.random() < 1 / 6:
        unsafe.add(random.choice(CWE_CLASSES))
    verb = USUAL_VERBS[name] if random.random() < USUAL else random.choice(VERBS)
    source = _source(random, verb, sorted(unsafe))
    return source, _noisy(random, unsafe)


def _noisy(random: Random, flags: set[str]) -> set[str]:
    if random.random() >= LABEL_NOISE:
        return flags
    others = [name for name in (*CWE_CLASSES, "clean") if name not in flags]
    return {random.choice(others)} - {"clean"}


def _source(random: Random, verb: str, unsafe: list[str]) -> str:
    """The text of a function with these flaws, among safe blocks of any kind."""
    kinds = [(kind, True) for kind in unsafe for _ in range(random.choice((1, 2)))]
    n_more = random.randint(25, 40) if random.random() < SHARE_LONG else random.randint(1, 3)
    kinds += [(random.choice(CWE_CLASSES), False) for _ in range(max(1, n_more - len(unsafe)))]
    random.shuffle(kinds)
    source, declared, done = random.choice(("ctx", "req", "dev", "msg")), ["int total = 0;"], []
    for number, (kind, is_unsafe) in enumerate(kinds):
        block, names = random.choice(BLOCKS[kind]), _names(random, source, number)
        declared.append(block.declare.format(**names))
        done.append((block.unsafe if is_unsafe else block.safe).format(**names))
        if random.random() < 0.5:
            done.append(random.choice(FILLERS).format(**names))
    if random.random() < 0.5:
        done.insert(random.randrange(len(done) + 1), random.choice(COMMENTS))
    return _written(random, verb, source, declared, done)


def _names(random: Random, source: str, number: int) -> dict[str, str]:
    size = random.choice(BUFFER_SIZES)
    names = {
        key: random.choice(pool) + (str(number) if number else "") for key, pool in POOLS.items()
    }
    return {
        **names,
        "s": source,
        "n": str(size),
        "k": str(size - random.choice((1, 4, 8))),
        "m": str(size + random.choice((8, 16, 64))),
    }


def _written(random: Random, verb: str, source: str, declared: list[str], done: list[str]) -> str:
    """A whole function from its name on: VDISC strips the return type."""
    name = f"{verb}_{random.choice(NOUNS)}"
    lines = "\n".join([*declared, *done, "return total;"]).split("\n")
    body = "\n".join(f"    {line}" for line in lines)
    return f"{name}(struct {random.choice(NOUNS)} *{source})\n{{\n{body}\n}}\n"


class TinyModel(NamedTuple):
    """The shape of one tiny encoder."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    mode_token: str | None = None


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
        if not is_current(path, made_from):
            path.mkdir(parents=True, exist_ok=True)
            (path / "manifest.json").unlink(missing_ok=True)
            write_encoder(path, TINY_SHAPES[name], texts, seed + number)
            write_manifest(path, made_from=made_from)
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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = RobertaModel(config, add_pooling_layer=False)
        # From scratch, words are learnt sooner than places: let those speak first.
        model.embeddings.position_embeddings.weight.data.mul_(0.05)
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the toy data, or with --vdisc a stand-in for Draper VDISC, into a folder."""
    parser = argparse.ArgumentParser(prog="python -m enstack.toy", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where the three files come")
    parser.add_argument("--vdisc", type=int, metavar="N", help="so many functions in all")
    parser.add_argument("--seed", type=int, default=42)
    chosen = parser.parse_args(arguments)
    try:
        _refuse_to_overwrite(chosen.folder)
        if chosen.vdisc is None:
            write_toy_data(chosen.folder, seed=chosen.seed)
        else:
            write_fake_vdisc(chosen.folder, chosen.vdisc, seed=chosen.seed)
    except EnstackError as error:
        parser.exit(error.exit_status, f"enstack: {error}\n")
    except OSError as error:
        reason = error.strerror or str(error)
        parser.exit(4, f"enstack: {chosen.folder} can't be written: {reason}.\n")


def _refuse_to_overwrite(folder: Path) -> None:
    """The real VDISC is a gigabyte to download: made-up functions never take its place."""
    present = [name for name in VDISC_NAMES.values() if (folder / f"{name}.hdf5").exists()]
    if present:
        raise ConfigError(
            f"Made-up data must come into a folder without any, {folder} holds "
            f"{', '.join(f'{name}.hdf5' for name in present)}. Name another folder."
        )


if __name__ == "__main__":
    main()
