from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from enstack.data.functions import VulnerabilityData
from enstack.models import tokens as tokens_module
from enstack.models.base_models import BaseModel, load_tokenizer
from enstack.models.tokens import LabelledTokens, encode, encode_with_ends, tokenize
from enstack.storage.files import sha256_json
from enstack.storage.manifest import read_manifest, write_manifest
from enstack.toy.tiny_models import TinyModel, write_encoder
from tests.support.equality import tree_digest


@pytest.fixture(scope="module")
def unixcoder_like(tmp_path_factory: pytest.TempPathFactory, toy_data: VulnerabilityData) -> Any:
    """A tokenizer with another vocabulary that has UniXcoder's mode token."""
    folder = tmp_path_factory.mktemp("models") / "unixcoder-like"
    shape = TinyModel(vocabulary=280, hidden=8, layers=1, heads=2, mode_token="<encoder-only>")
    write_encoder(folder, shape, toy_data.splits["train"].sources.to_pylist(), seed=2)
    return load_tokenizer(BaseModel("unixcoder-like", str(folder)))


def test_tokens_are_those_of_the_tokenizer_and_cuts_are_counted(
    toy_data: VulnerabilityData, micro_tokenizer: Any, tmp_path: Path
) -> None:
    train = toy_data.splits["train"]
    found = tokenize(train, micro_tokenizer, max_length=150, cache_dir=tmp_path, title="t")
    whole = micro_tokenizer(train.sources.to_pylist())["input_ids"]
    assert found.n_truncated == sum(len(ids) > 150 for ids in whole)
    assert 0 < found.n_truncated < len(train)
    assert found.cut is not None
    assert found.cut.tolist() == [len(ids) > 150 for ids in whole]
    for row, ids in enumerate(whole):
        stored = found.rows[row]["input_ids"].tolist()
        assert len(stored) == found.lengths[row]
        assert stored == (ids if len(ids) <= 150 else [*ids[:149], ids[-1]])


def test_the_second_time_nothing_is_tokenized(
    toy_data: VulnerabilityData,
    micro_tokenizer: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = toy_data.splits["train"]
    first = tokenize(train, micro_tokenizer, max_length=64, cache_dir=tmp_path, title="t")
    monkeypatch.delattr(tokens_module, "encode")
    again = tokenize(train, micro_tokenizer, max_length=64, cache_dir=tmp_path, title="t")
    assert (again.key, again.n_truncated) == (first.key, first.n_truncated)
    assert np.array_equal(again.lengths, first.lengths)
    assert np.array_equal(again.cut, first.cut)


def test_a_cache_from_before_cuts_were_recorded_row_by_row_is_used_as_it_is(
    toy_data: VulnerabilityData,
    micro_tokenizer: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = toy_data.splits["train"]
    first = tokenize(train, micro_tokenizer, max_length=64, cache_dir=tmp_path, title="t")
    folder = tmp_path / "tokens" / first.key
    manifest = read_manifest(folder)
    assert manifest is not None
    (folder / "cut.npy").unlink()
    write_manifest(folder, made_from=manifest["made_from"], n_truncated=first.n_truncated)
    monkeypatch.delattr(tokens_module, "encode")
    again = tokenize(train, micro_tokenizer, max_length=64, cache_dir=tmp_path, title="t")
    assert (again.cut, again.n_truncated) == (None, first.n_truncated)


def test_a_vocabulary_beyond_two_bytes_gets_four() -> None:
    assert tokens_module.token_type(range(2**16)) == pa.uint16()
    assert tokens_module.token_type(range(2**16 + 1)) == pa.int32()


def test_a_stopped_tokenization_keeps_the_splits_that_are_finished(
    toy_data: VulnerabilityData,
    micro_tokenizer: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train, test = toy_data.splits["train"], toy_data.splits["test"]
    wanted: dict[str, Any] = {"max_length": 64, "cache_dir": tmp_path, "title": "t"}
    tokenize(train, micro_tokenizer, **wanted)
    whole, seen = encode, []

    def stopped(sources: list[str], *rest: Any) -> Any:
        seen.append(sources)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return whole(sources, *rest)

    monkeypatch.setattr(tokens_module, "encode", stopped)
    monkeypatch.setattr(tokens_module, "FUNCTIONS_PER_CHUNK", 4)
    with pytest.raises(KeyboardInterrupt):
        tokenize(test, micro_tokenizer, **wanted)
    tokenize(train, micro_tokenizer, **wanted)
    assert len(seen) == 2  # train was not tokenized again
    assert len(tokenize(test, micro_tokenizer, **wanted).lengths) == len(test)


def test_the_padding_of_an_earlier_call_gets_into_no_cache(micro_tokenizer: Any) -> None:
    plain = encode(["f()", "g(int a);" * 9], micro_tokenizer, 32)
    micro_tokenizer(["f()", "g(int a);"], padding=True)
    assert encode(["f()", "g(int a);" * 9], micro_tokenizer, 32) == plain


def test_another_tokenizer_text_or_length_has_a_cache_of_its_own(
    toy_data: VulnerabilityData, micro_tokenizer: Any, unixcoder_like: Any
) -> None:
    train, test = toy_data.splits["train"], toy_data.splits["test"]
    inputs = [
        tokens_module.cache_inputs(train, micro_tokenizer, 64),
        tokens_module.cache_inputs(train, micro_tokenizer, 65),
        tokens_module.cache_inputs(train, unixcoder_like, 64),
        tokens_module.cache_inputs(test, micro_tokenizer, 64),
    ]
    assert len(set(map(sha256_json, inputs))) == 4
    micro_tokenizer(["f()"], truncation=True, max_length=8)
    assert tokens_module.cache_inputs(train, micro_tokenizer, 64) == inputs[0]


def test_caches_that_changed_places_are_made_again(
    toy_data: VulnerabilityData, micro_tokenizer: Any, tmp_path: Path
) -> None:
    splits = [toy_data.splits[name] for name in ("train", "test")]
    wanted: dict[str, Any] = {"max_length": 64, "cache_dir": tmp_path, "title": "t"}
    for split in splits:
        tokenize(split, micro_tokenizer, **wanted)
    before = tree_digest(tmp_path)
    one, other = sorted((tmp_path / "tokens").iterdir())
    one.rename(tmp_path / "between")
    other.rename(one)
    (tmp_path / "between").rename(other)
    for split in splits:
        assert len(tokenize(split, micro_tokenizer, **wanted).lengths) == len(split)
    assert tree_digest(tmp_path) == before


def cut_short(content: bytes) -> bytes:
    return content[:100]


def rot(content: bytes) -> bytes:
    """Same size, other bytes: training on it would go unnoticed."""
    return content[:1000] + bytes(100) + content[1100:]


@pytest.mark.parametrize("spoil", [cut_short, rot])
def test_a_spoilt_cache_is_made_again(
    toy_data: VulnerabilityData,
    micro_tokenizer: Any,
    tmp_path: Path,
    spoil: Callable[[bytes], bytes],
) -> None:
    test = toy_data.splits["test"]
    tokenize(test, micro_tokenizer, max_length=64, cache_dir=tmp_path, title="t")
    before = tree_digest(tmp_path)
    (arrow,) = tmp_path.rglob("tokens.arrow")
    arrow.write_bytes(spoil(arrow.read_bytes()))
    assert tree_digest(tmp_path) != before
    tokenize(test, micro_tokenizer, max_length=64, cache_dir=tmp_path, title="t")
    assert tree_digest(tmp_path) == before


VERY_LONG = {
    "code": "int a = b(c); /* größe */\n" * 4000,
    "white space": " " * 90_000 + "f();",
    "one word": "x" * 90_000,
    "digits and signs": "0x1f," * 20_000,
    "wide characters": "長🙂" * 40_000,
}


@pytest.mark.parametrize("name", VERY_LONG)
@pytest.mark.parametrize("side", ["right", "left"])
def test_the_tokens_of_a_very_long_function_are_those_of_all_of_it(
    unixcoder_like: Any, monkeypatch: pytest.MonkeyPatch, name: str, side: str
) -> None:
    sources, max_length = [VERY_LONG[name], "f()"], 16
    monkeypatch.setattr(unixcoder_like, "truncation_side", side)
    handed: list[int] = []

    class Backend:
        """The tokenizer's own, which tells how much it was handed."""

        def __getattr__(self, name: str) -> Any:
            return getattr(type(unixcoder_like).backend_tokenizer.fget(unixcoder_like), name)

        def encode_batch_fast(self, texts: list[str]) -> Any:
            handed.extend(map(len, texts))
            return self.__getattr__("encode_batch_fast")(texts)

    class Told:
        backend_tokenizer = Backend()

        def __getattr__(self, name: str) -> Any:
            return getattr(unixcoder_like, name)

    found = encode(sources, Told(), max_length)
    assert max(handed) <= 2048 * max_length < len(sources[0])
    monkeypatch.setattr(tokens_module, "CHARACTERS_PER_TOKEN", 10**9)
    assert encode(sources, unixcoder_like, max_length) == found
    assert found[1] == [True, False]


def test_what_is_not_handed_over_counts_as_cut_though_little_is_left_to_read(
    micro_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens_module, "CHARACTERS_PER_TOKEN", 1)
    texts = ["f();" * 8, "f();" * 2]
    ids, cut = encode(texts, micro_tokenizer, 16)
    assert cut == [True, False]
    assert ids[0] == micro_tokenizer("f();" * 4, truncation=True, max_length=16)["input_ids"]


def test_unixcoder_gets_its_mode_token_within_max_length(unixcoder_like: Any) -> None:
    mode = unixcoder_like.get_vocab()["<encoder-only>"]
    (short, long), cut = encode(["f()", "g(int a);" * 50], unixcoder_like, 32)
    plain = unixcoder_like("f()")["input_ids"]
    sep = unixcoder_like.sep_token_id
    assert short == [plain[0], mode, sep, *plain[1:]]
    assert (len(long), long[-1], cut) == (32, sep, [False, True])


def test_other_tokenizers_get_no_mode_token(micro_tokenizer: Any) -> None:
    (ids,), _ = encode(["f()"], micro_tokenizer, 32)
    assert ids == micro_tokenizer("f()")["input_ids"]


def test_tokenizing_builds_no_dictionary_of_the_whole_vocabulary(
    unixcoder_like: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def built(self: Any) -> None:
        raise AssertionError("20 to 100 ms for 50,000 tokens")

    monkeypatch.setattr(type(unixcoder_like), "get_vocab", built)
    assert len(encode(["f()", "g()"], unixcoder_like, 32)[0]) == 2
    assert len(encode_with_ends(["f()", "g()"], unixcoder_like, 32)[0]) == 2


def test_labelled_tokens_keep_labels_beside_their_tokens_when_rows_are_taken(
    toy_data: VulnerabilityData, micro_tokenizer: Any, tmp_path: Path
) -> None:
    train = toy_data.splits["train"]
    found = tokenize(train, micro_tokenizer, max_length=64, cache_dir=tmp_path, title="t")
    whole = LabelledTokens(found, train.labels, train.ids)
    rows = np.array([30, 2, 17, 5])
    twice = whole.take(rows).take(np.array([3, 0]))
    for place, row in enumerate([5, 30]):
        assert twice[place]["input_ids"].tolist() == whole[row]["input_ids"].tolist()
        assert twice[place]["label"] == train.labels[row]
        assert twice.lengths[place] == whole.lengths[row]
        assert twice.ids[place] == train.ids[row]
