"""Tokenize once, into a memory-mapped cache keyed by content; one cache for each tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset

from enstack.data.functions import Functions
from enstack.models.base_models import mode_tokens, tokenizer_digest
from enstack.progress.bars import Bar
from enstack.storage.caches import is_usable, making_cache
from enstack.storage.files import sha256_json
from enstack.storage.manifest import read_manifest, write_manifest

FORMAT = 1  # raise when the files of a cache change their meaning
FUNCTIONS_PER_CHUNK = 250  # held as Python objects at once; fewer saved little memory
# Far longer than any token of a vocabulary, white space before it included.
CHARACTERS_PER_TOKEN = 2048
TOKENS_FILE, LENGTHS_FILE = "tokens.arrow", "lengths.npy"  # apart: an order needs lengths alone
CUT_FILE = "cut.npy"


@dataclass(frozen=True)
class Tokens:
    """The tokens of one split: rows in the functions' order, memory-mapped.

    lengths: int32 (n,), tokens with the special ones; n_truncated: functions that were cut at
    max_length; key: sha256 over tokenizer, functions and max_length; cut: bool (n,), which ones,
    None of a cache that is older than this was recorded.
    """

    rows: Any
    lengths: np.ndarray
    n_truncated: int
    key: str
    cut: np.ndarray | None = None


class LabelledTokens(torch.utils.data.Dataset[dict[str, Any]]):
    """Tokens with labels and ids (n,), as a DataLoader reads them: {input_ids, label}.

    places: int64 (n,), where each example's tokens lie in the split; all of them by default.
    """

    def __init__(
        self,
        tokens: Tokens,
        labels: np.ndarray,
        ids: np.ndarray,
        places: np.ndarray | None = None,
    ) -> None:
        self.tokens, self.labels, self.ids = tokens, labels, ids
        self.places = np.arange(len(labels)) if places is None else places

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example (n,)."""
        return self.tokens.lengths[self.places]

    def take(self, rows: np.ndarray) -> LabelledTokens:
        """Some of the examples, in the order asked for."""
        return LabelledTokens(self.tokens, self.labels[rows], self.ids[rows], self.places[rows])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """One read for a whole batch."""
        tokens = self.tokens.rows[self.places[rows].tolist()]["input_ids"]
        labels = self.labels[rows].tolist()
        pairs = zip(tokens, labels, strict=True)
        return [{"input_ids": input_ids, "label": label} for input_ids, label in pairs]


def tokenize(
    functions: Functions, tokenizer: Any, *, max_length: int, cache_dir: Path, title: str
) -> Tokens:
    """The tokens of a split, from the cache or made now; an unfinished cache is made again."""
    made_from = cache_inputs(functions, tokenizer, max_length)
    key = sha256_json(made_from)
    folder = cache_dir / "tokens" / key
    # Its content is read in full: training on tokens that have rotted would go unnoticed.
    if not is_usable(folder, made_from):
        _write_cache(folder, made_from, functions, tokenizer, title)
    return _open_cache(folder, key)


def tokenize_in_memory(
    functions: Sequence[str], tokenizer: Any, *, max_length: int
) -> LabelledTokens:
    """The tokens of functions that belong to no data set: by the same road, without a cache.

    Their labels are 0, and their ids the places in the sequence.
    """
    input_ids, cut = encode(list(functions), tokenizer, max_length)
    rows = Dataset.from_dict({"input_ids": input_ids}).with_format("numpy")
    lengths = np.array([len(ids) for ids in input_ids], dtype=np.int32)
    tokens = Tokens(rows, lengths, sum(cut), key="", cut=np.array(cut, dtype=np.bool_))
    n_functions = len(input_ids)
    return LabelledTokens(
        tokens, np.zeros(n_functions, np.int64), np.arange(n_functions).astype(str)
    )


def cache_inputs(functions: Functions, tokenizer: Any, max_length: int) -> dict[str, Any]:
    """All that the tokens depend on."""
    return {
        "format": FORMAT,
        "tokenizer": tokenizer_digest(tokenizer),
        "functions": functions.source_digest,
        "max_length": max_length,
    }


def encode(
    sources: list[str], tokenizer: Any, max_length: int
) -> tuple[list[list[int]], list[bool]]:
    """Token ids of each function, at most max_length, and whether it was cut.

    Of a very long function so much is handed over as max_length tokens can't fill; it is cut.
    """
    parts = _parts(sources, tokenizer, max_length)
    backend = _truncating(tokenizer, max_length)
    encodings = backend.encode_batch_fast(parts)
    mode = mode_tokens(tokenizer)
    input_ids = [_with_mode(encoding.ids, mode) for encoding in encodings]
    too_long = [len(part) < len(source) for part, source in zip(parts, sources, strict=True)]
    cut = [bool(encoding.overflowing) for encoding in encodings]
    return input_ids, [either or other for either, other in zip(cut, too_long, strict=True)]


def encode_with_ends(
    sources: list[str], tokenizer: Any, max_length: int
) -> tuple[list[list[int]], list[np.ndarray]]:
    """The same token ids, and where each token ends in its source: int64, characters.

    -1 for tokens that stand for no text.
    """
    parts = _parts(sources, tokenizer, max_length)
    encodings = _truncating(tokenizer, max_length).encode_batch(parts)
    mode, input_ids, ends = mode_tokens(tokenizer), [], []
    for source, part, encoding in zip(sources, parts, encodings, strict=True):
        cut_off = len(source) - len(part) if tokenizer.truncation_side == "left" else 0
        own = np.array([cut_off + end for _, end in encoding.offsets], dtype=np.int64)
        own[np.array(encoding.special_tokens_mask, dtype=np.bool_)] = -1
        input_ids.append(_with_mode(encoding.ids, mode))
        ends.append(np.insert(own, 1, [-1] * len(mode)) if mode else own)
    return input_ids, ends


def _parts(sources: list[str], tokenizer: Any, max_length: int) -> list[str]:
    """Of each source so much as the tokenizer is given."""
    most = CHARACTERS_PER_TOKEN * max_length
    # The tokenizer needs twenty times a text's memory: of 300 MB it would take 6 GB, and abort.
    from_end = tokenizer.truncation_side == "left"
    return [source[-most:] if from_end else source[:most] for source in sources]


def _truncating(tokenizer: Any, max_length: int) -> Any:
    """The tokenizer's backend, which cuts and does not pad."""
    # The tokenizer's own call makes Python lists of masks and types too, and keeps the offsets
    # of every token; hardly anybody reads them.
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    # Room is left for the mode tokens: with them a function is max_length long at most.
    room = max_length - len(mode_tokens(tokenizer))
    backend.enable_truncation(room, direction=tokenizer.truncation_side)
    return backend


def _with_mode(ids: list[int], mode: list[int]) -> list[int]:
    return ids[:1] + mode + ids[1:] if mode else ids


def token_type(tokenizer: Any) -> pa.DataType:
    """The type of a token in a cache: two bytes, half the disk and half the time to check it."""
    return pa.uint16() if len(tokenizer) <= 2**16 else pa.int32()


def _write_cache(
    folder: Path, made_from: dict[str, Any], functions: Functions, tokenizer: Any, title: str
) -> None:
    lengths, cuts = list[np.ndarray](), list[np.ndarray]()
    with making_cache(folder, made_from) as beside:
        for input_ids, cut in _written(
            beside / TOKENS_FILE, functions, tokenizer, made_from["max_length"], title
        ):
            lengths.append(np.array([len(ids) for ids in input_ids], dtype=np.int32))
            cuts.append(np.array(cut, dtype=np.bool_))
        np.save(beside / LENGTHS_FILE, np.concatenate(lengths))
        np.save(beside / CUT_FILE, np.concatenate(cuts))
        n_truncated = int(sum(cut.sum() for cut in cuts))
        write_manifest(beside, made_from=made_from, n_truncated=n_truncated)


def _written(
    path: Path, functions: Functions, tokenizer: Any, max_length: int, title: str
) -> Iterator[tuple[list[list[int]], list[bool]]]:
    """Write the token file chunk by chunk, and yield what was written."""
    kind = pa.list_(token_type(tokenizer))
    schema = pa.schema({"input_ids": kind})
    # Not with datasets.map, which would pickle the tokenizer to find its own cache key.
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_stream(sink, schema) as writer,
        Bar(len(functions), title) as bar,
    ):
        for sources in functions.batches(FUNCTIONS_PER_CHUNK):
            input_ids, cut = encode(sources.to_pylist(), tokenizer, max_length)
            writer.write_batch(pa.record_batch([pa.array(input_ids, kind)], schema))
            yield input_ids, cut
            bar.advance(len(sources))


def _open_cache(folder: Path, key: str) -> Tokens:
    manifest = read_manifest(folder) or {}
    # As numpy: lists would hold a Python object for every token.
    rows = Dataset.from_file(str(folder / TOKENS_FILE)).with_format("numpy")
    lengths = np.load(folder / LENGTHS_FILE)
    # Made again for this alone, a cache of all of VDISC would cost minutes.
    cut = np.load(folder / CUT_FILE) if (folder / CUT_FILE).exists() else None
    return Tokens(rows, lengths, int(manifest["n_truncated"]), key, cut)
