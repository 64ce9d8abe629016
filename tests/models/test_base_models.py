from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel

from enstack.checkpoints.weights import write_weights
from enstack.errors import ConfigError
from enstack.models.base_models import (
    BaseModel,
    classifier_files,
    load_classifier,
    load_tokenizer,
    require_length,
)
from enstack.models.hardware import choose_precision
from enstack.storage.manifest import HashedFolder
from tests.support.equality import same

CLASSES = ("a", "b", "c")
IN_THE_NOTEBOOKS_ORDER = """
import sys, enstack.models.base_models
before = set(sys.modules)
import skops.io
print([name for name in set(sys.modules) - before if name.startswith("transformers.")])
"""


def save_classifier(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model as a checkpoint holds it."""
    new = HashedFolder(folder)
    with new.file("model.safetensors") as file:
        write_weights(file, model.state_dict())
    for name, content in classifier_files(model, tokenizer).items():
        (folder / name).write_bytes(content)


def test_a_new_head_depends_on_the_seed_alone_and_the_generator_is_left_alone(
    micro_model: BaseModel,
) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = load_classifier(micro_model, CLASSES, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert same(first.state_dict(), load_classifier(micro_model, CLASSES, seed=1).state_dict())
    assert not same(first.state_dict(), load_classifier(micro_model, CLASSES, seed=2).state_dict())


def test_the_generators_of_gpus_are_not_touched_for_a_model_on_the_cpu(
    micro_model: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[object] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("get_rng_state", "set_rng_state", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, lambda *args, **_: touched.append(args))
    load_classifier(micro_model, CLASSES, seed=1)
    assert not touched


def test_a_saved_classifier_comes_back_with_its_classes_and_uses_sdpa(
    micro_model: BaseModel, tmp_path: Path
) -> None:
    model = load_classifier(micro_model, CLASSES, seed=1)
    save_classifier(model, load_tokenizer(micro_model), tmp_path)
    again = load_classifier(BaseModel("x", str(tmp_path)), CLASSES, seed=9)
    assert same(model.state_dict(), again.state_dict())
    config = again.config
    assert list(config.id2label.values()) == list(CLASSES)  # type: ignore[union-attr]
    assert config._attn_implementation == "sdpa"  # type: ignore[union-attr]


def test_loaded_weights_outlive_their_file(micro_model: BaseModel, tmp_path: Path) -> None:
    """Weights mapped from a file that a rotation cuts to nothing would kill the process."""
    model = load_classifier(micro_model, CLASSES, seed=1)
    save_classifier(model, load_tokenizer(micro_model), tmp_path)
    again = load_classifier(BaseModel("x", str(tmp_path)), CLASSES, seed=1)
    os.truncate(tmp_path / "model.safetensors", 0)
    assert same(model.state_dict(), again.state_dict())


def test_a_folder_tuned_for_other_classes_lends_its_encoder(
    micro_model: BaseModel, tmp_path: Path
) -> None:
    model = load_classifier(micro_model, ("a", "b"), seed=1)
    save_classifier(model, load_tokenizer(micro_model), tmp_path)
    again = load_classifier(BaseModel("x", str(tmp_path)), CLASSES, seed=1)
    name = "roberta.embeddings.word_embeddings.weight"
    assert torch.equal(model.state_dict()[name], again.state_dict()[name])
    assert again.config.num_labels == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("location", ["microsoft/codebert-base", "/nowhere/at/all"])
def test_a_base_model_out_of_reach_says_which_files_to_put_where(location: str) -> None:
    wanted = r"can't be loaded from .*\n.*config\.json.*model\.safetensors.*tokenizer"
    with pytest.raises(ConfigError, match=wanted):
        load_tokenizer(BaseModel("codebert", location))
    with pytest.raises(ConfigError, match=wanted):
        load_classifier(BaseModel("codebert", location), CLASSES, seed=1)


def test_a_damaged_weights_file_is_a_clear_error(micro_model: BaseModel, tmp_path: Path) -> None:
    model = load_classifier(micro_model, CLASSES, seed=1)
    save_classifier(model, load_tokenizer(micro_model), tmp_path)
    os.truncate(tmp_path / "model.safetensors", 1000)
    with pytest.raises(ConfigError, match="can't be loaded"):
        load_classifier(BaseModel("x", str(tmp_path)), CLASSES, seed=1)


def test_more_tokens_than_positions_are_refused(micro_model: BaseModel, tmp_path: Path) -> None:
    require_length(micro_model, 512)
    with pytest.raises(ConfigError, match="at most 512 for micro, found 513"):
        require_length(micro_model, 513)
    config = BertConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        vocab_size=50,
        max_position_embeddings=128,
    )
    BertModel(config).save_pretrained(tmp_path)
    require_length(BaseModel("bert", str(tmp_path)), 128)
    with pytest.raises(ConfigError, match="at most 128 for bert"):
        require_length(BaseModel("bert", str(tmp_path)), 129)


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp16")])
def test_auto_precision_on_a_gpu_is_bf16_only_where_it_is_native(
    monkeypatch: pytest.MonkeyPatch, native: bool, expected: str
) -> None:
    """A T4 claims bf16, by emulation."""
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: including_emulation or native,
    )
    assert choose_precision("auto", torch.device("cuda")) == expected


def test_a_precision_that_is_named_is_taken() -> None:
    assert choose_precision("fp32", torch.device("cuda")) == "fp32"
    assert choose_precision("auto", torch.device("cpu")) in ("fp32", "bf16")


def test_what_a_call_has_set_in_a_tokenizer_is_no_part_of_what_is_saved(
    micro_model: BaseModel,
) -> None:
    """A run that takes its tokens from the cache would save another tokenizer.json."""
    model, tokenizer = load_classifier(micro_model, CLASSES, seed=1), load_tokenizer(micro_model)
    before = classifier_files(model, tokenizer)
    tokenizer(["int f();"], truncation=True, max_length=9, padding=True)
    assert classifier_files(model, tokenizer) == before
    assert tokenizer.backend_tokenizer.truncation["max_length"] == 9


@pytest.mark.slow
def test_skops_after_transformers_imports_no_image_models() -> None:
    """Colab's transformers 5.15 took 8 s for it, and printed lines about their docstrings."""
    command = [sys.executable, "-c", IN_THE_NOTEBOOKS_ORDER]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


class RunsCode:
    """A pickle that would make a folder when it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("kind", ["foreign", "plain pickle", "cut", "empty", "text", "a list"])
def test_weights_that_are_a_foreign_pickle_are_one_clear_error_and_never_executed(
    micro_model: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(shutil.copytree(micro_model.location, tmp_path / "model"))
    (folder / "model.safetensors").unlink()
    path = folder / "pytorch_model.bin"
    torch.save({"weights": RunsCode()}, path)
    content = {
        "foreign": path.read_bytes(),
        "plain pickle": pickle.dumps({"weights": RunsCode()}, protocol=2),
        "cut": path.read_bytes()[:200],
        "empty": b"",
        "text": b"no weights at all\n" * 9,
    }
    if kind == "a list":
        torch.save([1, 2], path)
    else:
        path.write_bytes(content[kind])
    with pytest.raises(ConfigError, match=r"base model micro can't be loaded from .*") as caught:
        load_classifier(BaseModel("micro", str(folder)), ("a", "b"), seed=1)
    assert "weights_only" not in str(caught.value)
    assert ("nothing in it was executed" in str(caught.value)) or kind in ("cut", "empty", "a list")
    assert not (tmp_path / "executed").exists()


NO_JSON = r"is cut or damaged: it is no JSON\."
DAMAGES = {
    "a file": ("", b"x", r"it is a file, and must be a folder\."),
    "no config.json": ("config.json", None, r"there is no config\.json in it\."),
    "config.json empty": ("config.json", b"", rf"its config\.json {NO_JSON}"),
    "config.json text": ("config.json", b"hello", rf"its config\.json {NO_JSON}"),
    "config.json UTF-16": ("config.json", b"\xff\xfe\x00", rf"its config\.json {NO_JSON}"),
    "config.json null": ("config.json", b"null", r"its config\.json must hold a JSON object\."),
    "no tokenizer.json": ("tokenizer.json", None, r"there is no tokenizer\.json in it, nor"),
    "tokenizer.json cut": ("tokenizer.json", b'{"model": {', rf"its tokenizer\.json {NO_JSON}"),
    "tokenizer.json list": ("tokenizer.json", b"[]", r"tokenizer\.json must hold a JSON object\."),
    "tokenizer.json {}": ("tokenizer.json", b"{}", "'added_tokens' is missing, or unknown"),
    "tokenizer.json null": (
        "tokenizer.json",
        b'{"added_tokens": [], "model": null}',
        r"its tokenizer\.json is damaged: .*ModelUntagged",
    ),
    "tokenizer_config.json cut": (
        "tokenizer_config.json",
        b'{"pad',
        rf"its tokenizer_config\.json {NO_JSON}",
    ),
}


@pytest.mark.parametrize(("name", "content", "told"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_of_a_base_model_is_named(
    micro_model: BaseModel, tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    folder = Path(shutil.copytree(micro_model.location, tmp_path / "model"))
    if not name:
        shutil.rmtree(folder)
    elif content is None:
        (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"can't be loaded from {folder}: .*{told}") as caught:
        load_tokenizer(BaseModel("micro", str(folder)))
    assert "into a folder" in str(caught.value) or "good copies" in str(caught.value)


SETTINGS_OF_ANOTHER = {
    "hidden_size": ("x", r"config\.json is wrong: .*'hidden_size' expected int, got str"),
    "max_position_embeddings": ("512", r"wrong: .*'max_position_embeddings' expected int, got str"),
    "hidden_act": ("nope", "'nope' is missing, or unknown"),
    "num_hidden_layers": (3, "its weights lack 32 of the encoder's"),
    "vocab_size": (100, r"embeddings\.weight is \(300, 16\), not \(100, 16\)"),
    "model_type": ("gpt2", "its weights lack"),
    "pad_token_id": (None, r"must be an id of its vocabulary, 0 to 299; found None"),
    "type_vocab_size": (0, r"token_type_embeddings\.weight is \(1, 16\), not \(0, 16\)"),
}


@pytest.mark.parametrize(("key", "found"), SETTINGS_OF_ANOTHER.items(), ids=SETTINGS_OF_ANOTHER)
def test_a_configuration_of_another_model_is_told_in_a_sentence(
    micro_model: BaseModel, tmp_path: Path, key: str, found: tuple[object, str]
) -> None:
    folder = Path(shutil.copytree(micro_model.location, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: found[0]}))
    damaged = BaseModel("micro", str(folder))
    with pytest.raises(ConfigError, match=found[1]):  # noqa: PT012 - as a run asks
        require_length(damaged, 32)
        load_classifier(damaged, CLASSES, seed=1)


@pytest.mark.parametrize("padding", [-1, 300, 10**6])
def test_a_padding_token_that_is_none_of_the_vocabulary_is_refused(
    micro_model: BaseModel, tmp_path: Path, padding: int
) -> None:
    folder = Path(shutil.copytree(micro_model.location, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "pad_token_id": padding}))
    with pytest.raises(ConfigError, match=rf"0 to 299; found {padding}\. Put a good copy"):
        require_length(BaseModel("micro", str(folder)), 32)
