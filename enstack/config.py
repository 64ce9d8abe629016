"""RunConfig and configure: the only place where settings are checked."""

from __future__ import annotations

import difflib
import hashlib
import json
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from enstack.errors import ConfigError

HUB_MODELS = ("codebert", "graphcodebert", "unixcoder")
TINY_MODELS = ("tiny-a", "tiny-b", "tiny-c")
META_CLASSIFIERS = ("lr", "svm", "rf", "xgboost")
# What makes a run this run: going on with other values is refused. Batch size, accumulation,
# workers, precision, save steps, epochs and patience may change between two calls.
FIXED_SETTINGS = (
    "label_mode",
    "subset",
    "max_length",
    "seed",
    "learning_rate",
    "weight_decay",
    "warmup_ratio",
    "scheduler",
    "max_grad_norm",
    "meta_features",
    "drop_near_duplicates",
    "label_rule",
)
# What these two decide, the fingerprint of the data tells.
TOLD_BY_THE_DATA = ("drop_near_duplicates", "label_rule")
SWA_WARNING = (
    "USE_SWA was forced to False: averaging weights while training costs 20-30 % of the speed "
    "and is meant for a final model only."
)


class ForcedOffWarning(UserWarning):
    """A setting was given that enstack always turns off."""


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _split_names(value: Any) -> Any:
    """`a,b` on a command line means a list of two names."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return value


Whole = Annotated[int, BeforeValidator(_refuse_bool)]
Real = Annotated[float, BeforeValidator(_refuse_bool), Field(allow_inf_nan=False)]
Names = Annotated[list[str], BeforeValidator(_split_names), Field(min_length=1)]
Subset = Literal["all", "paper"] | Annotated[Whole, Field(ge=1)]
Workers = Literal["auto"] | Annotated[Whole, Field(ge=0, le=64)]


class RunConfig(BaseModel):
    """Every setting of a run, validated and frozen; faults are one ConfigError that lists all."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    data_dir: Annotated[
        str,
        Field(
            min_length=1, description="The folder with the three splits, or `toy` for made-up data"
        ),
    ] = "toy"
    label_mode: Annotated[
        Literal["cwe", "cwe_or_clean", "binary", "multilabel"],
        Field(
            description="`cwe`: vulnerable functions only, 5 classes, as in the paper; "
            "`cwe_or_clean`: 6 classes; `binary`: any flag; `multilabel`: each of the five flags "
            "by itself, with a threshold chosen on validation"
        ),
    ] = "cwe"
    label_rule: Annotated[
        Literal["priority", "strict_single"],
        Field(
            description="Of several flags, `cwe` and `cwe_or_clean` take the first of CWE-119, "
            "CWE-120, CWE-469, CWE-476, CWE-other; `strict_single`: such functions are dropped, "
            "and counted"
        ),
    ] = "priority"
    subset: Annotated[
        Subset,
        Field(
            description="`all` functions; `paper`: the paper's counts per class; or a number of "
            "functions per split"
        ),
    ] = "all"
    drop_near_duplicates: Annotated[
        Real,
        Field(
            le=1,
            description="Jaccard similarity of token 4-grams from which a train function that "
            "stands in validation or test is dropped from train; 0: off, else above 0.5",
        ),
    ] = 0.0
    max_length: Annotated[
        Whole,
        Field(ge=16, le=8192, description="Tokens per function, the special ones included"),
    ] = 512
    base_models: Names = Field(
        default_factory=list,
        description="Short names, hub ids or local folders; the last part, made unique, is the "
        "model's name in the run",
    )
    epochs: Annotated[
        Whole, Field(ge=1, le=1000, description="Passes over the training functions")
    ] = 10
    batch_size: Annotated[
        Whole, Field(ge=1, le=4096, description="Examples per batch, over all processes")
    ] = 16
    accumulation_steps: Annotated[
        Whole, Field(ge=1, le=1024, description="Batches per optimizer step")
    ] = 1
    learning_rate: Annotated[
        Real, Field(gt=0, lt=1, description="AdamW's step size at the end of the warm-up")
    ] = 2e-5
    weight_decay: Annotated[
        Real,
        Field(ge=0, lt=1, description="AdamW's decay of all weights per step, times learning_rate"),
    ] = 0.01
    warmup_ratio: Annotated[
        Real,
        Field(
            ge=0,
            lt=1,
            description="Share of all optimizer steps over which the learning rate rises from 0",
        ),
    ] = 0.1
    scheduler: Annotated[
        Literal["linear", "cosine"],
        Field(description="How the learning rate falls to 0 after the warm-up"),
    ] = "linear"
    max_grad_norm: Annotated[
        Real,
        Field(gt=0, description="Largest L2 norm of all gradients together; they are scaled to it"),
    ] = 1.0
    seed: Annotated[Whole, Field(ge=0, lt=2**32, description="Seed of everything random")] = 42
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "bf16"],
        Field(
            description="Number format while training; `auto`: bf16 where the hardware has it, "
            "else fp16 on a GPU and fp32 on a CPU"
        ),
    ] = "auto"
    save_steps: Annotated[
        Whole,
        Field(
            ge=0,
            description="Batches between checkpoints inside an epoch; 0: only at epoch ends",
        ),
    ] = 500
    resume: Annotated[
        bool,
        Field(
            description="Go on where run_dir stopped; false refuses a run_dir that holds a run, "
            "and never deletes anything"
        ),
    ] = True
    resume_from: Annotated[
        str,
        Field(
            description="A checkpoint of the older EnStack program, or a folder above it, to go on "
            "from; empty: none"
        ),
    ] = ""
    use_swa: Annotated[
        bool,
        Field(
            description="Averaging of weights while training; always ends up false, with a warning"
        ),
    ] = False
    num_workers: Annotated[
        Workers,
        Field(description="Loader processes; 0: none; `auto`: 2 at most on a GPU, none on a CPU"),
    ] = "auto"
    early_stopping_patience: Annotated[
        Whole,
        Field(
            ge=0, description="Epochs without a better validation macro-F1 before a stop; 0: off"
        ),
    ] = 0
    meta_features: Annotated[
        Literal["holdout", "out_of_fold"],
        Field(
            description="Rows that meta-classifiers are fitted on: `holdout`: half of validation; "
            "`out_of_fold`: train, predicted by models that did not train on the row"
        ),
    ] = "holdout"
    folds: Annotated[
        Whole,
        Field(
            ge=2,
            le=20,
            description="Parts of the training split, and models for each, in out_of_fold",
        ),
    ] = 5
    meta_classifiers: Names = Field(
        default_factory=lambda: list(META_CLASSIFIERS),
        description="Meta-classifiers to fit, out of the paper's `lr`, `svm`, `rf`, `xgboost`",
    )
    run_dir: Annotated[str, Field(min_length=1, description="The folder where results live")] = ""
    local_dir: Annotated[
        str,
        Field(
            description="Fast scratch disk for copies of data, token caches, and checkpoints on "
            "their way to run_dir; between runs that are safe in run_dir it may be deleted"
        ),
    ] = ""
    keep_checkpoints: Annotated[
        Whole,
        Field(
            ge=2, le=100, description="Verified checkpoints kept per base model, best not counted"
        ),
    ] = 2

    # Whether use_swa was asked for, so that a run warns once.
    _swa_was_forced_off: bool = PrivateAttr(default=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(_explain(error)) from None
        asked = [value for key, value in values.items() if key.lower() == "use_swa"]
        self._swa_was_forced_off = any(asks_for_swa(value) for value in asked)
        if self._swa_was_forced_off:
            warn_of_swa()

    @property
    def swa_was_forced_off(self) -> bool:
        """Whether averaging was asked for, and the warning of it given."""
        return self._swa_was_forced_off

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        """Accept the notebook's UPPER_CASE keys, and fill what depends on another setting."""
        settings = _lower_keys(values)
        data_dir = str(settings.get("data_dir") or "toy")
        if settings.get("base_models") in (None, ""):
            settings["base_models"] = list(TINY_MODELS if data_dir == "toy" else HUB_MODELS)
        if not settings.get("run_dir"):
            settings["run_dir"] = f"enstack_runs/{PurePosixPath(data_dir).name or 'data'}"
        if not settings.get("local_dir"):
            settings["local_dir"] = str(Path.home() / ".cache" / "enstack")
        for key in ("data_dir", "run_dir", "local_dir", "resume_from"):
            if isinstance(settings.get(key), Path):
                settings[key] = str(settings[key])
        return settings

    @field_validator("use_swa", mode="before")
    @classmethod
    def _force_swa_off(cls, value: Any) -> bool:
        asks_for_swa(value)
        return False

    @field_validator("meta_classifiers")
    @classmethod
    def _known_meta_classifiers(cls, names: list[str]) -> list[str]:
        unknown = [name for name in names if name not in META_CLASSIFIERS]
        if unknown or len(set(names)) < len(names):
            raise ValueError(f"must be different names out of {', '.join(META_CLASSIFIERS)}")
        return names

    @field_validator("drop_near_duplicates")
    @classmethod
    def _near_or_off(cls, value: float) -> float:
        # Below one half, functions that merely share their habits would count as the same.
        if value and not value > 0.5:
            raise ValueError("must be 0 (off), or above 0.5 and at most 1")
        return value

    @model_validator(mode="after")
    def _cross_checks(self) -> RunConfig:
        if self.resume_from and not self.resume:
            raise ValueError("resume_from goes on from a checkpoint, so resume must be true")
        if self.subset == "paper" and self.label_mode != "cwe":
            raise ValueError(
                f"subset=paper must go with label_mode=cwe (the paper has no clean class), "
                f"found label_mode={self.label_mode}"
            )
        if self.label_rule == "strict_single" and self.label_mode not in ("cwe", "cwe_or_clean"):
            raise ValueError(
                "label_rule=strict_single must go with label_mode=cwe or cwe_or_clean, in which "
                f"several flags become one class, found label_mode={self.label_mode}"
            )
        return self

    @property
    def run_key(self) -> str:
        """A name for run_dir on the scratch disk, hex."""
        return run_key(Path(self.run_dir))

    @property
    def scratch_dir(self) -> Path:
        """Where the scratch disk keeps the checkpoints of this run_dir until they are copied."""
        return scratch_dir(Path(self.local_dir), Path(self.run_dir))

    def announcement(self) -> str:
        """The five lines that tell a user what a run will do."""
        strategy = f"every {self.save_steps} steps" if self.save_steps else None
        return (
            "✅ Configuration updated:\n"
            f"   - Epochs: {self.epochs}\n"
            f"   - Batch Size: {self.batch_size}\n"
            f"   - SWA (Stochastic Weight Averaging): {self.use_swa}\n"
            f"   - Checkpoint Strategy: save {strategy or 'at the end of each epoch'}\n"
            f"   - Resume: {self.resume}\n"
        )


def run_key(run_dir: Path) -> str:
    """A name for a run folder on the scratch disk, hex."""
    return hashlib.sha256(str(run_dir.resolve()).encode()).hexdigest()[:16]


def scratch_dir(local_dir: Path, run_dir: Path) -> Path:
    """Where a scratch disk keeps the checkpoints of a run folder until they are copied."""
    return local_dir / "checkpoints" / run_key(run_dir)


def asks_for_swa(value: Any) -> bool:
    """Whether a value of use_swa, in any spelling of yes and no, asks for averaging."""
    return bool(TypeAdapter(bool).validate_python(value))


def warn_of_swa() -> None:
    """Say that averaging was forced off."""
    warnings.warn(SWA_WARNING, ForcedOffWarning, stacklevel=3)


def _lower_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    lowered: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).lower()
        if name in lowered:
            raise ValueError(f"{name} must be given once, found it twice (as {key} too)")
        lowered[name] = value
    return lowered


def configure(**fields: Any) -> RunConfig:
    """Check a notebook's UPPER_CASE form fields, print what was set, and return the RunConfig."""
    config = RunConfig(**fields)
    sys.stdout.write(config.announcement())
    return config


def load_config(path: Path, overrides: Iterable[str] = ()) -> RunConfig:
    """Read a YAML or JSON file, let `KEY=VALUE` settings overrule it, and check the result."""
    values = _lower_file_keys(path, _read_mapping(path))
    return RunConfig(**{**values, **parse_overrides(overrides)})


def parse_overrides(settings: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` settings as a dictionary; values are read as YAML, keys in either case."""
    values: dict[str, Any] = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"A setting must look like KEY=VALUE, found {setting!r}.")
        try:
            values[key.strip().lower()] = yaml.safe_load(text)
        except yaml.YAMLError:
            values[key.strip().lower()] = text
    return values


def base_model_names(base_models: Iterable[str]) -> list[str]:
    """The names by which base models go: a hub id's or folder's last part, made unique."""
    names: list[str] = []
    for model in base_models:
        last = PurePosixPath(str(model).replace("\\", "/")).name or "model"
        copies = (f"{last}-{number}" for number in range(2, len(names) + 3))
        names.append(last if last not in names else next(c for c in copies if c not in names))
    return names


def _lower_file_keys(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    try:
        return _lower_keys(values)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}.") from None


def _read_mapping(path: Path) -> dict[str, Any]:
    """The settings in a file, unchecked."""
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise ConfigError(f"A configuration must be a .yaml, .yml or .json file, found {path}.")
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"The configuration {path} can't be read: {error.strerror}.") from None
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"The configuration {path} is not valid: {reason}.") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"A configuration must hold KEY: VALUE lines, {path} holds a {type(values).__name__}."
        )
    return values


def _explain(error: ValidationError) -> str:
    """All faults of a configuration, one line each: key, rule, value found."""
    faults: dict[str, str] = {}
    for fault in error.errors():
        key = str(fault["loc"][0]) if fault["loc"] else ""
        rule = _rule(key, fault)
        # A field of alternatives reports one fault for each: they read as one rule.
        faults[key] = f"{faults[key].split(', found')[0]} or {rule}" if key in faults else rule
    lines = [f"{key} {rule}".strip() for key, rule in faults.items()]
    if len(lines) == 1:
        return f"The configuration is wrong: {lines[0]}."
    return "\n".join(["The configuration is wrong:", *(f"  - {line}" for line in lines)])


def _rule(key: str, fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        nearest = difflib.get_close_matches(key, RunConfig.model_fields, n=1, cutoff=0.4)
        advice = (
            f"did you mean {nearest[0]}" if nearest else "see docs/configuration.md for the keys"
        )
        return f"is not a known key (found {fault['input']!r}); {advice}"
    if fault["type"] == "value_error":
        rule = str(fault["ctx"]["error"])
    else:
        rule = fault["msg"].replace("Input should be", "must be")
        rule = rule[0].lower() + rule[1:]
    return rule if not key or ", found" in rule else f"{rule}, found {fault['input']!r}"
