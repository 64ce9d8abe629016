"""A base model's files can't make this machine run code, ask for it, or fetch another model."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers.modeling_utils

from enstack.errors import ConfigError
from enstack.models.base_models import (
    BaseModel,
    architecture,
    encoder_config,
    load_classifier,
    load_tokenizer,
)
from enstack.models.hardware import Hardware
from enstack.training.epoch_time import measure_batch

ROOT = Path(__file__).parent.parent.parent
CODE = """
from pathlib import Path
Path({mark!r}).touch()
from transformers import RobertaConfig, RobertaForSequenceClassification, RobertaTokenizerFast
class Config(RobertaConfig): model_type = "unheard-of"
class Model(RobertaForSequenceClassification): config_class = Config
class Tokenizer(RobertaTokenizerFast): pass
"""
LOADS = {
    "tokenizer": load_tokenizer,
    "configuration": encoder_config,
    "model": lambda base_model: load_classifier(base_model, ("a", "b"), seed=1),
}
EVERY_CLASS = {
    "AutoConfig": "own.Config",
    "AutoModel": "own.Model",
    "AutoModelForSequenceClassification": "own.Model",
    "AutoTokenizer": ["own.Tokenizer", "own.Tokenizer"],
}


@pytest.fixture
def folder(micro_model: BaseModel, tmp_path: Path) -> Path:
    """A whole model folder, with a module beside it that leaves a mark when it is run."""
    shutil.copytree(micro_model.location, tmp_path / "model")
    (tmp_path / "model" / "own.py").write_text(CODE.format(mark=str(tmp_path / "mark")))
    return tmp_path / "model"


@pytest.fixture(autouse=True)
def yes(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Somebody at the keyboard who says yes to everything."""
    answers = io.StringIO("y\n" * 99)
    monkeypatch.setattr("sys.stdin", answers)
    return answers


def change(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **values}))


@pytest.mark.parametrize("load", LOADS.values(), ids=list(LOADS))
@pytest.mark.parametrize("model_type", ["unheard-of", "roberta"])
@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize(
    "auto_map", [EVERY_CLASS, ["own.Tokenizer", None], {"AutoTokenizer": "far/away--own.Tokenizer"}]
)
def test_code_in_a_model_folder_is_refused_without_a_question(
    folder: Path, yes: io.StringIO, load: Any, file: str, model_type: str, auto_map: Any
) -> None:
    change(folder / "config.json", model_type=model_type)
    change(folder / file, auto_map=auto_map)
    with pytest.raises(ConfigError, match=rf"without code of its own.*\n{file}.*auto_map.*\nTake"):
        load(BaseModel("own", str(folder)))
    assert yes.tell() == 0, "a question was asked"
    assert not (folder.parent / "mark").exists(), "the folder's code was run"


def test_the_advice_of_the_refusal_works(folder: Path) -> None:
    change(folder / "config.json", auto_map=EVERY_CLASS)
    with pytest.raises(ConfigError, match="a copy without auto_map"):
        encoder_config(BaseModel("own", str(folder)))
    content = json.loads((folder / "config.json").read_text())
    del content["auto_map"]
    (folder / "config.json").write_text(json.dumps(content))
    for load in LOADS.values():
        load(BaseModel("own", str(folder)))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"custom_pipelines": {"x": {"impl": "own.Pipeline"}}}, "custom_pipelines"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantization_config"),
        ({"_attn_implementation": "kernels-community/flash-attn"}, "_attn_implementation"),
        ({"attn_implementation": "someone/attention@main:forward"}, "attn_implementation"),
        ({"attn_implementation": {"": "sdpa", "x": "some/one"}}, "attn_implementation"),
        ({"experts_implementation": "someone/experts"}, "experts_implementation"),
        ({"text_config": {"_attn_implementation": "kernels-community/fa"}}, "_attn_implementation"),
    ],
)
def test_what_else_would_bring_code_or_other_weights_is_refused(
    folder: Path, values: dict[str, Any], named: str
) -> None:
    change(folder / "config.json", **values)
    for load in LOADS.values():
        with pytest.raises(ConfigError, match=rf"config\.json.*{named}.*\nTake"):
            load(BaseModel("own", str(folder)))


@pytest.mark.parametrize("named", ["flash_attention_2", "flash_attention_3", "flex_attention"])
def test_attention_is_torchs_own_whatever_a_configuration_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(
        transformers.modeling_utils,
        "lazy_import_flash_attention",
        lambda *names, **settings: asked.append(names),
    )
    monkeypatch.setattr(transformers.modeling_utils, "is_kernels_available", lambda: True)
    change(folder / "config.json", _attn_implementation=named, attn_implementation=named)
    base_model = BaseModel("own", str(folder))
    model: Any = load_classifier(base_model, ("a", "b"), seed=1)
    assert model.config._attn_implementation == "sdpa"
    hardware = Hardware(torch.device("cpu"), "fp32", 0)
    measure_batch(encoder_config(base_model), hardware, batch_size=1, max_length=8)
    assert asked == []


@pytest.mark.parametrize("whole", [True, False], ids=["beside a model", "alone"])
def test_an_adapter_does_not_fetch_the_model_it_belongs_to(folder: Path, whole: bool) -> None:
    change(folder / "adapter_config.json", base_model_name_or_path="someone/else")
    if not whole:
        (folder / "config.json").unlink()
    for load in LOADS.values():
        with pytest.raises(ConfigError, match=r"adapter_config\.json.*someone/else.*\nTake"):
            load(BaseModel("own", str(folder)))


@pytest.mark.parametrize(
    "name", ["pipeline", "AutoModel", "AutoTokenizer", "Owned", "os", 5, ["x"]]
)
def test_a_tokenizer_class_that_is_none_is_refused_or_not_needed(folder: Path, name: Any) -> None:
    change(folder / "tokenizer_config.json", tokenizer_class=name)
    refused = name not in ("Owned", "os")  # for names that it does not know it takes its own
    with pytest.raises(ConfigError, match=str(folder)) if refused else contextlib.nullcontext():
        assert load_tokenizer(BaseModel("own", str(folder)))("int f();")["input_ids"]


@pytest.mark.parametrize("content", ["[]", "5", "{", '{"model_type": []}', '{"auto_map": 5}'])
@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "adapter_config.json"])
def test_settings_that_are_none_are_told_in_words(folder: Path, file: str, content: str) -> None:
    if (file, content) == ("tokenizer_config.json", '{"model_type": []}'):
        pytest.skip("nobody reads that key there")
    (folder / file).write_text(content)
    with pytest.raises(ConfigError, match=str(folder)):
        load_tokenizer(BaseModel("own", str(folder)))


def test_a_model_with_code_has_no_architecture_to_show(folder: Path) -> None:
    assert architecture(BaseModel("own", str(folder))) is not None
    change(folder / "config.json", auto_map=EVERY_CLASS)
    assert architecture(BaseModel("own", str(folder))) is None


def test_every_loading_call_forbids_foreign_code() -> None:
    calls = []
    for room in ("enstack", "benchmarks", "tools", "tests"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                # for_model knows the library's own classes alone, and loads nothing.
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if called.startswith("Auto") and not called.endswith(".for_model"):
                    calls.append((path.name, node))
    assert len(calls) >= 10
    for name, call in calls:
        settings = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert settings.get("trust_remote_code") == "False", f"{name}:{call.lineno}"
