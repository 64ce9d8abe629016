"""RunConfig: every setting with its meaning, unit, default and check; configure for notebooks."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from enstack.config.faults import explain
from enstack.config.names import (
    HUB_MODELS,
    META_CLASSIFIERS,
    TINY_MODELS,
    run_key,
    scratch_dir,
)
from enstack.config.swa import asks_for_swa, warn_of_swa
from enstack.config.values import (
    MetaClassifiers,
    ModelNames,
    PathText,
    Real,
    Subset,
    Whole,
    Workers,
    lower_keys,
)
from enstack.errors import ConfigError


class RunConfig(BaseModel):
    """Every setting of a run, validated and frozen; faults are one ConfigError that lists all."""

    # A misspelt key that were ignored would leave a default in force, and nobody would know.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    data_dir: Annotated[
        PathText,
        Field(
            min_length=1, description="The folder with the three splits, or `toy` for made-up data"
        ),
    ] = "toy"  # a first run needs no files and no network
    label_mode: Annotated[
        Literal["cwe", "cwe_or_clean", "binary", "multilabel"],
        Field(
            description="`cwe`: vulnerable functions only, 5 classes, as in the paper; "
            "`cwe_or_clean`: 6 classes; `binary`: any flag; `multilabel`: each of the five flags "
            "by itself, with a threshold chosen on validation"
        ),
    ] = "cwe"  # the paper's task
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
    ] = 512  # all that CodeBERT's positions allow, and the paper's length
    base_models: ModelNames = Field(
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
    ] = 2e-5  # the paper's, as are batch_size and epochs
    weight_decay: Annotated[
        Real,
        Field(ge=0, lt=1, description="AdamW's decay of all weights per step, times learning_rate"),
    ] = 0.01  # the paper states neither this nor warm-up, schedule and seed
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
    # numpy's RandomState, which draws the resamples, takes 32 bits.
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
    ] = True  # the same call again goes on
    resume_from: Annotated[
        PathText,
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
    ] = "holdout"  # out_of_fold takes `folds` times as long
    folds: Annotated[
        Whole,
        Field(
            ge=2,
            le=20,
            description="Parts of the training split, and models for each, in out_of_fold",
        ),
    ] = 5
    meta_classifiers: MetaClassifiers = Field(
        default_factory=lambda: list(META_CLASSIFIERS),
        description="Meta-classifiers to fit, out of the paper's `lr`, `svm`, `rf`, `xgboost`",
    )
    run_dir: Annotated[
        PathText, Field(min_length=1, description="The folder where results live")
    ] = ""
    local_dir: Annotated[
        PathText,
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
    ] = 2  # should the last one be damaged, there is one before it

    # Whether use_swa was asked for, so that a run warns once.
    _swa_was_forced_off: bool = PrivateAttr(default=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(explain(error, type(self).model_fields)) from None
        # As given: the checked field says False by now, whatever was asked for.
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
        settings = lower_keys(values)
        data_dir = str(settings.get("data_dir") or "toy")
        if settings.get("base_models") in (None, ""):
            settings["base_models"] = list(TINY_MODELS if data_dir == "toy" else HUB_MODELS)
        if not settings.get("run_dir"):
            settings["run_dir"] = f"enstack_runs/{PurePosixPath(data_dir).name or 'data'}"
        if not settings.get("local_dir"):
            settings["local_dir"] = str(Path.home() / ".cache" / "enstack")
        return settings

    @field_validator("use_swa", mode="before")
    @classmethod
    def _force_swa_off(cls, value: Any) -> bool:
        asks_for_swa(value)  # raises for what is neither yes nor no
        return False

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


def configure(**fields: Any) -> RunConfig:
    """Check a notebook's UPPER_CASE form fields, print what was set, and return the RunConfig."""
    config = RunConfig(**fields)
    sys.stdout.write(config.announcement())
    return config
