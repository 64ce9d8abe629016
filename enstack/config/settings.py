"""Every setting of a run: its meaning, unit, default and range."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from enstack.config.defaults import (
    default_base_models,
    default_learning_rate,
    default_local_dir,
    default_run_dir,
)
from enstack.config.names import META_CLASSIFIERS
from enstack.config.swa import asks_for_swa
from enstack.config.values import (
    Hours,
    MetaClassifiers,
    ModelNames,
    PathText,
    Real,
    ReportTo,
    Seeds,
    Similarity,
    Subset,
    Whole,
    Workers,
    is_empty,
)

MAY_BE_EMPTY = ("resume_from",)


class Settings(BaseModel):
    """The settings one by one; RunConfig checks them together."""

    # A misspelt key that were ignored would leave a default in force, and nobody would know.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    data_dir: Annotated[
        PathText,
        Field(
            description="The folder with the three splits, or one file of functions; `toy`: "
            "made-up data"
        ),
    ] = "toy"  # a first run needs no files and no network
    label_mode: Annotated[
        Literal["auto", "cwe", "cwe_or_clean", "cwe_all", "binary", "multilabel"],
        Field(
            description="`cwe`: vulnerable functions only, 5 classes, as in the paper; "
            "`cwe_or_clean`: 6 classes; `cwe_all`: vulnerable functions only, every CWE that is "
            "frequent; `binary`: any flag; `multilabel`: each of the five flags by itself, with a "
            "threshold chosen on validation; `auto`: `binary` where labels are 0 and 1, else `cwe`"
        ),
    ] = "auto"  # of VDISC's flags the paper's task
    min_functions_per_cwe: Annotated[
        Whole,
        Field(
            ge=1,
            description="Train functions that a CWE needs to be a class of `cwe_all`; one with "
            "fewer is counted as its parent in MITRE's view 1000",
        ),
    ] = 100
    layout: Annotated[
        str,
        Field(
            description="The data set whose columns these are, such as `PrimeVul`; `auto`: told by "
            "the columns"
        ),
    ] = "auto"
    text_column: Annotated[
        str, Field(description="The column of functions; `auto`: found by name and values")
    ] = "auto"
    label_column: Annotated[
        str, Field(description="The column of labels; `auto`: found by name and values")
    ] = "auto"
    split_by: Annotated[
        Literal["auto", "project", "commit", "near_duplicates", "date"],
        Field(
            description="How a table without splits is divided, 80/10/10: no `project`, no "
            "`commit`, or no `near_duplicates` in two splits, or by `date`, the newest to test; "
            "`auto`: the first of these three that the columns allow"
        ),
    ] = "auto"
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
        Similarity,
        Field(
            description="Jaccard similarity of token 4-grams from which a train function that "
            "stands in validation or test is dropped from train; 0: off, else above 0.5",
        ),
    ] = 0.0
    max_length: Annotated[
        Whole,
        Field(ge=16, le=8192, description="Tokens per function, the special ones included"),
    ] = 512  # all that CodeBERT's positions allow, and the paper's length
    base_models: ModelNames = Field(
        default_factory=default_base_models,
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
    learning_rate: Annotated[Real, Field(gt=0, lt=1)] = Field(
        default_factory=default_learning_rate,
        description="AdamW's step size at the end of the warm-up",
    )
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
    class_weights: Annotated[
        Literal["none", "balanced"],
        Field(
            description="Weights of the training loss; `balanced`: rare classes count as much as "
            "frequent ones, n / (k n_c), and functions with a flag as much as those without it"
        ),
    ] = "none"  # the paper's, and what leaves probabilities as frequent as the classes are
    # numpy's RandomState, which draws the resamples, takes 32 bits.
    seed: Annotated[Whole, Field(ge=0, lt=2**32, description="Seed of everything random")] = 42
    seeds: Annotated[
        Seeds,
        Field(
            description="`none`, or the seeds under which the whole run is done once each, `seed` "
            "first; those after it in run_dir/seeds"
        ),
    ] = "none"  # each costs as much as the run
    subset_seed: Annotated[
        Literal["seed"] | Annotated[Whole, Field(ge=0, lt=2**32)],
        Field(description="Seed of the subset's draw; `seed`: as everything random"),
    ] = "seed"
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "bf16"],
        Field(
            description="Number format while training; `auto`: bf16 where the hardware has it, "
            "else fp16 on a GPU and fp32 on a CPU"
        ),
    ] = "auto"
    deterministic: bool = Field(
        default=False,
        description="Kernels that add in the same order every time, so that a run on a GPU can be "
        "repeated to the last bit; slower there, and no difference on a CPU",
    )
    save_steps: Annotated[
        Whole,
        Field(
            ge=0,
            description="Batches between checkpoints inside an epoch; 0: only at epoch ends",
        ),
    ] = 500
    save_minutes: Annotated[
        Real,
        Field(
            ge=0,
            description="Minutes after which a checkpoint is saved inside an epoch if `save_steps` "
            "has asked for none; 0, or `save_steps` 0: never",
        ),
    ] = 5.0  # so that a slow machine loses as little as a fast one
    session_hours: Annotated[
        Hours,
        Field(
            description="Hours that this session lasts from the start of the run: it stops itself "
            "in time, saved and copied, and tells how many sessions are left; `none`: it has no end"
        ),
    ] = "none"
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
            description="A run folder, or a checkpoint in one, that is copied to run_dir to go on "
            "there; or a checkpoint of the older EnStack program, or a folder above it; empty: none"
        ),
    ] = ""
    use_swa: bool = Field(
        default=False,
        description="Averaging of weights while training; always ends up false, with a warning",
    )
    num_workers: Annotated[
        Workers,
        Field(description="Loader processes; 0: none; `auto`: 2 at most on a GPU, none on a CPU"),
    ] = "auto"
    processes: Annotated[
        Whole,
        Field(
            ge=1,
            le=64,
            description="Processes that train, a GPU each where there are any; above 1 a run "
            "starts them itself; under torchrun its own number counts",
        ),
    ] = 1
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
    primary_measure: Annotated[
        Literal["macro_f1", "accuracy", "mcc"],
        Field(
            description="What the verdict is about; `macro_f1`: over the classes with at least 30 "
            "test functions, written macro-F1 (30+) where that leaves any out"
        ),
    ] = "macro_f1"  # accuracy says little where one class is most of the functions
    report_to: Annotated[
        ReportTo,
        Field(
            description="`tensorboard`: the curves of each base model for TensorBoard too, in "
            "run_dir/tensorboard, after each epoch; or `none`"
        ),
    ] = "none"  # the report has them
    run_dir: PathText = Field(
        default_factory=default_run_dir, description="The folder where results live"
    )
    local_dir: PathText = Field(
        default_factory=default_local_dir,
        description="Fast scratch disk for copies of data, token caches, and checkpoints on "
        "their way to run_dir; between runs that are safe in run_dir it may be deleted",
    )
    keep_checkpoints: Annotated[
        Whole,
        Field(ge=2, le=100, description="Verified checkpoints kept per base model, without best"),
    ] = 2  # should the last one be damaged, there is one before it

    @field_validator("use_swa", mode="before")
    @classmethod
    def _force_swa_off(cls, value: Any) -> bool:
        asks_for_swa(value)  # raises for what is neither yes nor no
        return False

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_empty(cls, value: Any, info: ValidationInfo) -> Any:
        # Nobody would know which value is in force. Defined last, this is asked first.
        if is_empty(value) and info.field_name not in MAY_BE_EMPTY:
            raise ValueError("must have a value; leave it out for its default")
        return value
