"""Base models whose files lack a part: the library would make it up, and train on it in silence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, RobertaForMaskedLM

from enstack.errors import ConfigError
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer

Weights = dict[str, torch.Tensor]
WORDS = "embeddings.word_embeddings.weight"
CLASSES = ("a", "b")
PUT_BACK = (
    r"\nPut config\.json, model\.safetensors and the tokenizer's files .*good copies.* folder\.$"
)


@pytest.fixture
def folder(micro_model: BaseModel, tmp_path: Path) -> Path:
    return Path(shutil.copytree(micro_model.location, tmp_path / "model"))


def load(folder: Path) -> Any:
    return load_classifier(BaseModel("own", str(folder)), CLASSES, seed=1)


def change_weights(folder: Path, change: Callable[[Weights], Weights]) -> None:
    path = folder / "model.safetensors"
    weights = {name: tensor.clone() for name, tensor in load_file(path).items()}
    save_file(change(weights), path, metadata={"format": "pt"})


def as_vocabulary_and_merges(folder: Path) -> None:
    """The tokenizer as microsoft/codebert-base brings it: no tokenizer.json."""
    bpe = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(bpe["vocab"]))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, bpe["merges"])]))
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()


def test_every_single_tensor_of_the_encoder_is_needed(folder: Path) -> None:
    whole = load_file(folder / "model.safetensors")
    for name in whole:
        rest = {other: tensor for other, tensor in whole.items() if other != name}
        save_file(rest, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(ConfigError, match=rf"lack 1 of the encoder's {len(whole)} .*{name}\)"):
            load(folder)


@pytest.mark.parametrize("prefix", ["", "roberta."])
def test_weights_that_lack_most_of_the_encoder_are_refused_with_their_number(
    folder: Path, prefix: str
) -> None:
    whole = len(load_file(folder / "model.safetensors"))
    change_weights(folder, lambda old: {prefix + name: old[name] for name in sorted(old)[:5]})
    lacks = (
        rf"own can't be loaded from .*lack {whole - 5} of the encoder's {whole} tensors \(roberta"
    )
    with pytest.raises(ConfigError, match=lacks + r".*more\)\." + PUT_BACK):
        load(folder)


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    change_weights(folder, lambda old: old | {WORDS: old[WORDS][:10].clone()})
    with pytest.raises(ConfigError, match=rf"1 of the encoder's .*{WORDS} is \(10, 16\)"):
        load(folder)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(folder: Path, number: float) -> None:
    def spoil(old: Weights) -> Weights:
        old[WORDS][3, 5] = number
        return old

    change_weights(folder, spoil)
    with pytest.raises(
        ConfigError, match=rf"NaN or infinite numbers, in roberta\.{WORDS}\." + PUT_BACK
    ):
        load(folder)


def test_encoders_as_they_lie_on_the_hub_are_whole(folder: Path, tmp_path: Path) -> None:
    """With prefix and without, with a pooler and a language model's head, a tied decoder."""
    expected = load(folder).state_dict()
    RobertaForMaskedLM.from_pretrained(folder).save_pretrained(tmp_path / "graphcodebert")
    shutil.copytree(folder, tmp_path / "codebert")
    pooler = {"pooler.dense.weight": torch.zeros(16, 16), "pooler.dense.bias": torch.zeros(16)}
    change_weights(
        tmp_path / "codebert",
        lambda old: old | pooler | {"embeddings.position_ids": torch.arange(514)[None]},
    )
    for name in ("codebert", "graphcodebert"):
        found = load(tmp_path / name).state_dict()
        assert all(torch.equal(tensor, found[key]) for key, tensor in expected.items()), name
    shape = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    bert = BertForMaskedLM(BertConfig(hidden_size=8, vocab_size=50, **shape))
    bert.save_pretrained(tmp_path / "bert")
    words = load(tmp_path / "bert").state_dict()[f"bert.{WORDS}"]
    assert torch.equal(words, bert.state_dict()[f"bert.{WORDS}"])


@pytest.mark.parametrize("lost", ["all", "all but tokenizer_config.json", "merges", "vocabulary"])
def test_a_tokenizer_without_its_files_is_refused(folder: Path, lost: str) -> None:
    if lost.startswith("all"):
        (folder / "tokenizer.json").unlink()
        if lost == "all":
            (folder / "tokenizer_config.json").unlink()
    else:
        as_vocabulary_and_merges(folder)
        (folder / {"merges": "merges.txt", "vocabulary": "vocab.json"}[lost]).unlink()
    with pytest.raises(ConfigError, match=r"can't be loaded from .*" + PUT_BACK):
        load_tokenizer(BaseModel("own", str(folder)))


def test_vocabulary_and_merges_are_a_tokenizer(folder: Path) -> None:
    code = "int main() { return 0; }"
    whole = load_tokenizer(BaseModel("own", str(folder)))(code)["input_ids"]
    as_vocabulary_and_merges(folder)
    assert load_tokenizer(BaseModel("own", str(folder)))(code)["input_ids"] == whole


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("content", ["cut", "{}", "[]", '{"model_type": "unheard-of"}', ""])
def test_a_damaged_file_of_a_local_folder_is_to_be_put_back(
    folder: Path, file: str, content: str
) -> None:
    path = folder / file
    path.write_bytes(path.read_bytes()[:-99] if content == "cut" else content.encode())
    base_model = BaseModel("own", str(folder))
    with pytest.raises(ConfigError, match=r"own can't be loaded from .*" + PUT_BACK):
        load_tokenizer(base_model) if file == "tokenizer.json" else load(folder)
