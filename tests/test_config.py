from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from enstack.config import (
    META_CLASSIFIERS,
    ForcedOffWarning,
    RunConfig,
    base_model_names,
    configure,
    load_config,
    parse_overrides,
)
from enstack.errors import ConfigError

FIVE_LINES = """\
✅ Configuration updated:
   - Epochs: 10
   - Batch Size: 16
   - SWA (Stochastic Weight Averaging): False
   - Checkpoint Strategy: save every 500 steps
   - Resume: True
"""


def test_defaults_are_those_of_the_contract() -> None:
    config = RunConfig()
    assert (config.data_dir, config.label_mode, config.subset) == ("toy", "auto", "all")
    assert RunConfig(data_dir="d/vdisc").learning_rate == 2e-5
    assert (config.max_length, config.epochs, config.batch_size) == (512, 10, 16)
    assert (config.weight_decay, config.warmup_ratio) == (0.01, 0.1)
    assert (config.scheduler, config.max_grad_norm, config.seed) == ("linear", 1.0, 42)
    assert (config.precision, config.save_steps, config.resume) == ("auto", 500, True)
    assert (config.num_workers, config.early_stopping_patience) == ("auto", 0)
    assert (config.meta_features, config.folds) == ("holdout", 5)
    assert config.meta_classifiers == list(META_CLASSIFIERS)
    assert (config.run_dir, config.keep_checkpoints) == ("enstack_runs/toy", 2)


def test_base_models_depend_on_the_data() -> None:
    assert RunConfig().base_models == ["tiny-a", "tiny-b", "tiny-c"]
    assert RunConfig(data_dir="d/vdisc").base_models == ["codebert", "graphcodebert", "unixcoder"]
    assert RunConfig(data_dir="d/vdisc").run_dir == "enstack_runs/vdisc"


@pytest.mark.parametrize("models", [None, "tiny-a", ["tiny-c", "tiny-b"]])
def test_tiny_models_alone_come_with_a_rate_that_they_learn_at(models: object) -> None:
    asked = {} if models is None else {"base_models": models}
    config = RunConfig(**asked)
    assert config.learning_rate == 1e-3
    assert "   - Learning Rate: 0.001, with which tiny models learn\n" in config.places()
    # What a user chose is kept, the paper's rate too.
    chosen = RunConfig(**asked, LEARNING_RATE=2e-5)
    assert chosen.learning_rate == 2e-5
    assert "   - Learning Rate: 2e-05\n" in chosen.places()
    assert RunConfig(**{**asked, "base_models": ["tiny-a", "x/y"]}).learning_rate == 2e-5


def test_a_run_begun_at_another_rate_goes_on_with_it() -> None:
    assert RunConfig().going_on({"learning_rate": 2e-5}).learning_rate == 2e-5
    assert RunConfig(learning_rate=1e-3).going_on({"learning_rate": 2e-5}).learning_rate == 1e-3
    assert RunConfig().going_on({}) == RunConfig()


def test_configure_prints_exactly_the_five_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure(EPOCHS=10, BATCH_SIZE=16, USE_SWA=False, SAVE_STEPS=500, RESUME=True)
    assert capsys.readouterr().out == FIVE_LINES


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"LEARNING_RATE": 5e-4}, "   - Learning Rate: 0.0005\n"),
        ({"early_stopping_patience": 2}, "   - Also Set: early_stopping_patience=2\n"),
        (
            {"SEED": 7, "meta_classifiers": ["lr", "svm"], "scheduler": "cosine"},
            "   - Also Set: scheduler=cosine, seed=7, meta_classifiers=lr,svm\n",
        ),
        ({"seed": 42, "scheduler": "linear", "epochs": 3, "resume": True}, ""),
    ],
)
def test_all_that_was_given_and_is_no_default_is_named(given: dict[str, Any], line: str) -> None:
    plain, config = RunConfig().places(), RunConfig(**given)
    lines = config.places().splitlines(keepends=True)
    assert "".join(one for one in lines if one not in plain) == line


def test_every_setting_that_is_given_is_named_before_a_run() -> None:
    given = {
        "learning_rate": 1e-4, "weight_decay": 0.2, "warmup_ratio": 0.3, "max_grad_norm": 2.0,
        "accumulation_steps": 3, "max_length": 64, "class_weights": "balanced", "folds": 3,
        "precision": "fp32", "num_workers": 1, "meta_features": "out_of_fold", "seed": 1,
        "keep_checkpoints": 3, "label_mode": "cwe_or_clean", "label_rule": "strict_single",
        "drop_near_duplicates": 0.9, "subset": 90, "early_stopping_patience": 1, "epochs": 77,
        "batch_size": 33, "save_steps": 44, "save_minutes": 2.5, "session_hours": 7,
        "deterministic": True, "processes": 2,
        "resume_from": "old", "scheduler": "cosine",
        "meta_classifiers": ["rf"], "base_models": ["x/y"], "data_dir": "d", "run_dir": "r",
        "seeds": [1, 2], "subset_seed": 3, "primary_measure": "mcc",
        "report_to": ["tensorboard"],
        "local_dir": "l", "layout": "PrimeVul", "text_column": "func", "label_column": "target",
        "min_functions_per_cwe": 7, "split_by": "commit",
    }  # fmt: skip
    assert {*given, "resume", "use_swa"} == {*RunConfig.model_fields}
    config = RunConfig(**given)
    said = config.announcement() + config.places()
    named = {"learning_rate": "0.0001", "base_models": "y"} | {
        key: str(value) for key, value in given.items() if key in ("epochs", "batch_size")
    }
    for key, value in given.items():
        shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        assert f"{key}={shown}" in said or named.get(key, shown) in said


def test_without_save_steps_the_strategy_is_the_end_of_each_epoch() -> None:
    line = "   - Checkpoint Strategy: save at the end of each epoch"
    assert line in RunConfig(save_steps=0).announcement().splitlines()


def test_a_config_can_not_be_changed() -> None:
    with pytest.raises(ConfigError, match=r"frozen: epochs .*configure\(EPOCHS=\.\.\.\)"):
        RunConfig().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize("value", [True, 1, "true", "yes", "True", "1", "on"])
def test_swa_is_forced_off_with_one_warning_from_the_form(value: object) -> None:
    with pytest.warns(ForcedOffWarning, match="forced to False.*20-30 %") as caught:
        config = configure(USE_SWA=value)
    assert config.use_swa is False
    assert len(caught) == 1


@pytest.mark.parametrize("name", ["c.yaml", "c.json"])
def test_swa_is_forced_off_from_files_and_settings(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(json.dumps({"USE_SWA": True}))
    with pytest.warns(ForcedOffWarning, match="forced to False"):
        assert load_config(path).use_swa is False
    path.write_text("{}")
    with pytest.warns(ForcedOffWarning, match="forced to False"):
        assert load_config(path, ["use_swa=yes"]).use_swa is False


def test_swa_that_is_off_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert RunConfig(use_swa="no").use_swa is False


def test_all_faults_are_reported_at_once_with_key_rule_and_value() -> None:
    with pytest.raises(ConfigError) as error:
        RunConfig(epochs=0, precision="fp8", epoch=3)
    text = str(error.value)
    assert "epochs must be greater than or equal to 1, found 0" in text
    assert "precision must be 'auto', 'fp32', 'fp16' or 'bf16', found 'fp8'" in text
    assert "epoch is not a known key (found 3); did you mean epochs?" in text


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("trust_remote_code", "nothing sets it, for code that comes with a model is never run"),
        ("num_classes", "nothing sets it, for it follows from label_mode and the data"),
        ("hidden_size", "see docs/configuration.md for the keys"),
        ("load_best_model_at_end", "see docs/configuration.md for the keys"),
        ("cache_dir", "did you mean local_dir?"),
        ("lernrate", "did you mean learning_rate?"),
    ],
)
def test_a_key_that_is_none_is_answered_with_what_is_meant_and_not_with_a_guess(
    name: str, advice: str
) -> None:
    with pytest.raises(ConfigError) as error:
        RunConfig(**{name: True})
    end = "" if advice.endswith("?") else "."
    assert str(error.value).endswith(f"{name} is not a known key (found True); {advice}{end}")


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"subset": "papr"}, "subset must be 'all' or 'paper' or .*found 'papr'"),
        ({"subset": 0}, "subset .*greater than or equal to 1, found 0"),
        ({"subset": 1.5}, "subset must be 'all' or 'paper' or .*integer.*, found 1.5"),
        ({"subset": True}, "subset must be 'all' or 'paper' or .*number.*, found True"),
        ({"label_mode": "multi"}, "label_mode must be 'auto', 'cwe', .*, found 'multi'"),
        ({"label_rule": "strict"}, "label_rule must be 'priority' or 'strict_single', found 'str"),
        ({"num_workers": -1}, "num_workers must be 'auto' or .*found -1"),
        ({"meta_classifiers": "lr,foo"}, "out of lr, svm, rf, xgboost, found 'lr,foo'"),
        ({"epochs": True}, "epochs must be a number, not true or false, found True"),
        ({"learning_rate": float("nan")}, "learning_rate .*finite"),
        ({"subset": "paper", "label_mode": "binary"}, "subset=paper must go with label_mode=cwe"),
        ({"keep_checkpoints": 1}, "keep_checkpoints must be greater than or equal to 2"),
        ({"EPOCHS": 3, "epochs": 4}, "epochs must be given once, found it twice"),
        ({"base_models": 5}, "base_models must be a valid list, found 5"),
        ({"base_models": ","}, "base_models must name at least one, found ','"),
        ({"data_dir": b"x"}, "data_dir must be text without NUL"),
        ({"run_dir": "a\0b"}, "run_dir must be text without NUL"),
        *(
            ({key: "a\udcffb"}, rf"{key} must be a name in UTF-8, .*rename .*found 'a\\udcffb'")
            for key in ("data_dir", "run_dir", "local_dir", "resume_from", "base_models")
        ),
        ({"resume": "perhaps"}, "resume must be true or false, found 'perhaps'"),
        ({"drop_near_duplicates": 0.5}, r"drop_near_duplicates must be 0 \(off\), or above 0.5"),
        ({"drop_near_duplicates": 1.1}, "drop_near_duplicates must be less than or equal to 1"),
        ({"drop_near_duplicates": -1}, "drop_near_duplicates must be 0"),
    ],
)
def test_a_wrong_setting_is_named_with_its_rule(settings: dict[str, object], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        RunConfig(**settings)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("seed", "042", 42),
        ("seed", "1_000", 1000),
        ("learning_rate", "1e-4", 1e-4),
        ("data_dir", "2026-01-02", "2026-01-02"),
        ("data_dir", "007", "007"),
        ("data_dir", "on", "on"),
        ("run_dir", "1:30", "1:30"),
        ("resume", "on", True),
        ("resume", "no", False),
        ("base_models", "[042, no]", ["042", "no"]),
        ("base_models", "['a, b', c]", ["a, b", "c"]),
    ],
)
def test_a_value_means_what_it_plainly_says(
    tmp_path: Path, key: str, text: str, value: object
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"{key}: {text}\n")
    assert getattr(load_config(path), key) == value
    path.write_text("")
    assert getattr(load_config(path, [f"{key}={text}"]), key) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [
        *(("seed", text) for text in ("0x10", "0o17", "0b11", "1:30", ".inf", "nan", "1e3", "yes")),
        *(("learning_rate", text) for text in ("0:0.5", ".nan", "inf", "no")),
        ("resume", "0x1"),
        ("epochs", "2026-01-02"),
    ],
)
def test_a_value_that_yaml_alone_would_understand_is_refused_as_it_was_typed(
    tmp_path: Path, key: str, text: str
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"{key}: {text}\n")
    refusal = rf"{key} must be .*, found '?{re.escape(text)}'?\."
    with pytest.raises(ConfigError, match=refusal):
        load_config(path)
    with pytest.raises(ConfigError, match=refusal):
        RunConfig(**parse_overrides([f"{key}={text}"]))


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_a_setting_that_is_text_is_taken_as_it_stands(text: str) -> None:
    """Unlike YAML's "# x", "a: b", "!x", "&x y", "*x": folders may be called that."""
    assume(text.strip() and text.strip()[0] not in "~'\"")
    assert RunConfig(**parse_overrides([f"data_dir={text}"])).data_dir == text.strip()


@given(seed=st.integers(0, 2**32 - 1), zeros=st.integers(0, 3))
def test_a_whole_number_is_read_in_tens_whatever_stands_before_it(seed: int, zeros: int) -> None:
    assert RunConfig(**parse_overrides([f"seed={'0' * zeros}{seed}"])).seed == seed


@pytest.mark.parametrize("empty", ["", "  ", None, [], [""]])
def test_an_empty_value_is_refused_for_every_setting(empty: object) -> None:
    for key in {*RunConfig.model_fields} - {"resume_from"}:
        with pytest.raises(ConfigError, match=f"{key} must have a value; leave it out"):
            RunConfig(**{key: empty})


@pytest.mark.parametrize("text", ["base_models:\n", "base_models: []\n", "base_models: ~\n"])
def test_an_empty_value_in_a_file_does_not_mean_the_default(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="base_models must have a value"):
        load_config(path)
    with pytest.raises(ConfigError, match=r"base_models must have a value|must name at"):
        RunConfig(**parse_overrides([text.strip().replace(": ~", ":").replace(":", "=", 1)]))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", ""),
        ("c.yaml", "# data_dir: d\n"),
        ("c.yaml", "---\n...\n"),
        ("c.yaml", "~\n"),
        ("c.yaml", "{}\n"),
        ("c.json", "null"),
        ("c.json", "{}"),
        ("c.json", ""),
        ("c.json", "\n"),
    ],
)
def test_a_file_that_names_no_setting_is_refused_instead_of_training_toy_data(
    tmp_path: Path, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"must name a setting, .*{name} names none.*data_dir"):
        load_config(path)
    # What the file leaves open, the command names.
    assert load_config(path, ["data_dir=toy"]) == RunConfig(data_dir="toy")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("<<: {epochs: 3}\n", "<<, YAML's merge key, is not read; write out the settings"),
        ("\tepochs: 3\n", r"line 1, column 1.*Write spaces in the place of tabs"),
        ("epochs:\t3\n", r"line 1, column 8.*Write spaces in the place of tabs"),
        ("epochs: 3\n---\nepochs: 4\n", "a single document .*but found another document in line 2"),
        ("epochs: 3\n'epochs': 4\n", "epochs must be given once"),
        ("- epochs: 3\n", "must hold KEY: VALUE lines, .* holds a list"),
        ("epochs: !!int 3\n", "tag.*int"),
    ],
)
def test_what_yaml_has_beside_key_and_value_is_refused_by_name(
    tmp_path: Path, text: str, named: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=named) as caught:
        load_config(path)
    assert "<unicode string>" not in str(caught.value)


@pytest.mark.parametrize("name", ["c.yaml", "c.json"])
def test_a_byte_order_mark_is_no_part_of_a_configuration(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text('{"seed": 7}', encoding="utf-8-sig")
    assert load_config(path).seed == 7


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-16", "UTF-16"), ("utf-32", "UTF-32"), ("utf-16-le", "another"), ("cp1252", "another")],
)
@pytest.mark.parametrize("name", ["c.yaml", "c.json"])
def test_another_encoding_is_named(tmp_path: Path, name: str, encoding: str, named: str) -> None:
    path = tmp_path / name
    path.write_text('{"data_dir": "d\xe9"}', encoding=encoding)
    with pytest.raises(ConfigError, match=rf"must be text in UTF-8, .*{named}.*save it again"):
        load_config(path)


def test_settings_overrule_the_file_key_by_key(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("epochs: 3\nbase_models: [a/x, b/x]\n")
    config = load_config(path, ["EPOCHS=4", "learning_rate=2e-5", "early_stopping_patience=2"])
    assert (config.epochs, config.learning_rate, config.early_stopping_patience) == (4, 2e-5, 2)
    assert config.base_models == ["a/x", "b/x"]


def test_a_stored_config_is_read_back_as_it_was(tmp_path: Path) -> None:
    config = RunConfig(epochs=3, subset=100, num_workers=2)
    path = tmp_path / "config.json"
    path.write_text(config.model_dump_json())
    assert load_config(path) == config


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("c.yaml", "a: [", "not valid"),
        ("c.json", "{", "not valid"),
        ("c.yaml", "- a", "must hold KEY: VALUE"),
        ("c.toml", "", "must be a .yaml, .yml or .json file"),
        ("c.yaml", "epochs: 1\nEPOCHS: 2\n", "given once"),
        ("c.yaml", "epochs: 1\nseed: 2\nepochs: 2\n", "epochs must be given once"),
        ("c.json", '{"epochs": 1, "epochs": 2}', "epochs must be given once"),
        ("c.json", '{"epochs": 1, "Epochs": 2}', "epochs must be given once"),
        ("c.yaml", "? [a]\n: b\n", "keys must be text"),
        ("c.yaml", "seed: !!int 042\n", "not valid"),
        ("c.yaml", "[" * 1500, "not valid"),
        ("c.json", "[" * 100_000, "not valid"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(
    tmp_path: Path, name: str, text: str, rule: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=rule):
        load_config(tmp_path / name)


def test_a_missing_file_and_a_setting_without_value_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="must look like KEY=VALUE, found 'epochs'"):
        parse_overrides(["epochs"])
    with pytest.raises(ConfigError, match="epochs must be given once, found it twice"):
        parse_overrides(["epochs=1", "epochs=2"])


def test_a_long_value_is_told_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    aliases = "".join(f"- &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9))
    path.write_text(f"epochs:\n- &a0 x\n{aliases}")
    with pytest.raises(ConfigError, match="epochs must be") as error:
        load_config(path)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("way", ["..", ".", "../..", "/"])
def test_a_way_up_names_no_run(way: str) -> None:
    assert RunConfig(data_dir=way).run_dir == "enstack_runs/data"


def test_base_models_go_by_their_last_part_made_unique() -> None:
    models = ["codebert", "microsoft/codebert", "/drive/x/model", "y/model/", "model-2"]
    names = base_model_names(models)
    assert names == ["codebert", "codebert-2", "model", "model-2", "model-2-2"]
    assert len(set(names)) == len(models)


def test_every_setting_has_a_description_of_one_line_without_a_full_stop() -> None:
    for name, field in RunConfig.model_fields.items():
        assert field.description, name
        assert "\n" not in field.description, name
        assert not field.description.endswith("."), name


def test_a_file_of_endless_faults_gets_a_message_of_a_screen() -> None:
    with pytest.raises(ConfigError, match="base_models must be a valid string, found") as error:
        RunConfig(base_models=[[1]] * 5000)
    assert len(f"{error.value}") < 1000
    with pytest.raises(ConfigError, match=r"and 4,980 more settings") as error:
        RunConfig(**{f"k{number}": number for number in range(5000)})
    assert len(f"{error.value}".splitlines()) < 25


def test_the_home_of_nobody_is_refused_and_a_folder_of_that_name_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"~nouser-x is no user's home; \./~nouser-x is a folder"):
        RunConfig(run_dir="~nouser-x/run")
    assert RunConfig(run_dir="./~nouser-x/run").run_dir.endswith("~nouser-x/run")
    (tmp_path / "~nouser-x").mkdir()
    assert RunConfig(run_dir="~nouser-x/run").run_dir == "~nouser-x/run"
