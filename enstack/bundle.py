"""A finished run as one model that judges new functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from enstack.config import RunConfig, base_model_names
from enstack.data.columns import normalized
from enstack.data.labels import task_of
from enstack.errors import ConfigError, DataError
from enstack.metrics.label_task import LabelTask
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer
from enstack.models.hardware import Hardware, choose_device
from enstack.models.predict import predict_probabilities
from enstack.models.tokens import tokenize_in_memory
from enstack.progress.stopping import stop_requests
from enstack.run_folder import RunFolder
from enstack.stacking.candidates import Combination
from enstack.stacking.meta_features import BaseModelProbabilities
from enstack.stacking.stack import load_meta_classifier
from enstack.stacking.titles import title
from enstack.stacking.votes import Vote
from enstack.storage.files import read_json_object
from enstack.storage.manifest import read_manifest
from enstack.verify_run import require_finished, require_whole

VOTE = "vote:mean"
QUIET_BATCHES = 8


@dataclass(frozen=True, eq=False)
class FineTunedModel:
    """A base model of a run with its tokenizer, ready to predict.

    batch_size: functions predicted at once, as in the run.
    """

    name: str
    classifier: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    max_length: int
    batch_size: int
    hardware: Hardware

    def predict_proba(self, functions: list[str]) -> np.ndarray:
        """Probabilities (n, k) float32, by the road that the run took for its test functions."""
        with stop_requests() as stop:
            return predict_probabilities(
                self.classifier,
                tokenize_in_memory(functions, self.tokenizer, max_length=self.max_length),
                self.hardware,
                batch_size=self.batch_size,
                pad_token_id=self.tokenizer.pad_token_id,
                title=f"Predicting with {self.name}",
                stop=stop,
                # A few batches are done before a bar could be read.
                level="epoch" if len(functions) <= QUIET_BATCHES * self.batch_size else "batch",
            )


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """What a run has trained, for functions that it has never seen.

    name: as in the leaderboard, "stack:lr", "base:codebert" or "vote:mean". combination: what makes
    one answer of the base models' answers. thresholds: (k,) of several flags, None where a function
    has one class.
    """

    name: str
    task: LabelTask
    base_models: tuple[FineTunedModel, ...]
    combination: Combination = field(repr=False)
    thresholds: np.ndarray | None = field(repr=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, or flags, in the order of the probabilities' columns."""
        return self.task.class_names

    def predict_proba(self, functions: Iterable[str]) -> np.ndarray:
        """Probabilities (n, k) float32 of each class, or flag, of n functions in C or C++.

        Raises DataError for what is no text, or a blank one.
        """
        texts = _checked_texts(functions)
        if not texts:
            return np.empty((0, len(self.class_names)), dtype=np.float32)
        # Combinations join what base models say by id: the places serve as such.
        ids, unseen = np.arange(len(texts)).astype(str), np.zeros(len(texts), dtype=np.bool_)
        said = [
            BaseModelProbabilities(model.name, ids, model.predict_proba(texts), unseen)
            for model in self.base_models
        ]
        return self.combination.predict_proba(said, self.task)

    def predict(self, functions: Iterable[str]) -> np.ndarray:
        """The class name (n,) of each function, or whether it has each flag: (n, k) bool."""
        decisions = self.task.decide(self.predict_proba(functions), self.thresholds)
        return decisions if decisions.ndim == 2 else np.array(self.class_names)[decisions]


def load(run_dir: str | Path, name: str | None = None) -> TrainedModel:
    """Load what a finished run has trained, once every file of the run is known to be whole.

    name: a stack ("lr"), a base model ("codebert"), "vote" or "greedy", with its kind before it
    ("stack:lr") where two have the same; by default what did best by cross-validation on the
    functions that the stacks are fitted on. Raises CheckpointError for a run that is unfinished,
    damaged, or was trained on after its stacks were fitted; ConfigError for a name that the run
    does not have.
    """
    run = RunFolder(Path(run_dir))
    require_finished(run)
    config = RunConfig(**run.settings())
    every = base_model_names(config.base_models)
    require_whole(run, every)
    key = _chosen(run, config, name)
    combination = _combination(run, key, every)
    _refuse_added(run, key, combination.base_models, every)
    data = read_json_object(run.data_file)
    task = task_of(data["label_mode"], tuple(data["class_names"]))
    base_models = tuple(_fine_tuned(run, config, task, one) for one in combination.base_models)
    thresholds = read_json_object(run.stacking.thresholds)[key] if task.has_thresholds else None
    return TrainedModel(
        key, task, base_models, combination, None if thresholds is None else np.array(thresholds)
    )


def _refuse_added(run: RunFolder, key: str, names: Sequence[str], every: Sequence[str]) -> None:
    added = [name for name in names if name in run.added()]
    if added:
        raise ConfigError(
            f"{key} rests on {', '.join(added)}, which was trained elsewhere: its probabilities of "
            f"the run's functions are here, its weights are not. Load {' or '.join(every)}."
        )


def _combination(run: RunFolder, key: str, every: Sequence[str]) -> Combination:
    """What makes one answer of base models' answers, by key; every: the run's base models."""
    kind, _, name = key.partition(":")
    if kind == "stack":
        return load_meta_classifier(run.stacking.meta_classifier(name))
    if kind == "base":
        return Vote({name: 1})
    # A run from before there were others has the plain mean alone, and no file of it.
    stored = _votes(run).get(key, {"picks": dict.fromkeys(every, 1), "temperatures": {}})
    return Vote(stored["picks"], stored["temperatures"])


def _votes(run: RunFolder) -> dict[str, Any]:
    return read_json_object(run.stacking.votes) if run.stacking.votes.exists() else {}


def _fine_tuned(run: RunFolder, config: RunConfig, task: LabelTask, name: str) -> FineTunedModel:
    folder = run.base_model(name)
    best = BaseModel(name, str(folder.best_model))
    # No workers: the tokens are in memory, and starting a process would take longer.
    hardware = Hardware.choose(_precision(run, config, name), num_workers=0)
    classifier = load_classifier(
        best, task.class_names, seed=config.seed, problem_type=task.problem_type
    )
    return FineTunedModel(
        name,
        classifier.to(hardware.device),
        load_tokenizer(best),
        config.max_length,
        # As many at once as when the run predicted its test functions.
        2 * config.batch_size,
        hardware,
    )


def _precision(run: RunFolder, config: RunConfig, name: str) -> str:
    """The precision that the run predicted with; on a CPU, which is slow in fp16, fp32 for that."""
    recorded = (read_manifest(run.base_model(name).probabilities) or {}).get("precision")
    precision = str(recorded or config.precision)
    return "fp32" if precision == "fp16" and choose_device().type == "cpu" else precision


def _checked_texts(functions: Iterable[str]) -> list[str]:
    """The functions as the run would have read them from a file."""
    # A table's columns and a mapping's keys are texts too, and a set has no order to answer in.
    if isinstance(functions, str | bytes | Mapping | Set) or hasattr(functions, "columns"):
        raise DataError(
            f"Functions must be a list of texts, found {_kind(functions)}: write [text] for one."
        )
    try:
        listed = list(functions)
    except TypeError:
        raise DataError(f"Functions must be a list of texts, found {_kind(functions)}.") from None
    for place, function in enumerate(listed):
        if not isinstance(function, str) or not function.strip():
            raise DataError(
                f"Every function must be a text that is not blank, found {function!r:.60} at place "
                f"{place} (places count from 0). Leave it out."
            )
    return normalized(listed)


def _kind(functions: object) -> str:
    return "one text" if isinstance(functions, str | bytes) else f"a {type(functions).__name__}"


def _chosen(run: RunFolder, config: RunConfig, name: str | None) -> str:
    """The key of the model that is asked for, or of the best by cross-validation."""
    known = _loadable(run, config)
    if name is None:
        return _best(run, known, base_model_names(config.base_models))
    # By key, by name, or as the leaderboard calls it; in any case.
    called = {key: [key, key.partition(":")[2], title(key)] for key in known}
    called.get(VOTE, []).append("vote")  # there may be other votes
    asked = str(name).casefold()
    meant = [key for key, names in called.items() if asked in map(str.casefold, names)]
    # Two base models may differ by case alone.
    meant = [key for key in meant if name in called[key]] or meant
    if len(meant) != 1:
        found = f"found {name!r}" if not meant else f"{name!r} may be {' or '.join(meant)}"
        raise ConfigError(f"The model must be one of {', '.join(known)}; {found}.")
    return meant[0]


def _best(run: RunFolder, known: Sequence[str], every: Sequence[str]) -> str:
    """The key of what did best by cross-validation, and has all its weights here."""
    selection = read_json_object(run.stacking.selection)
    # Never by the test figures: chosen by them, they would be a training result.
    best, added = str(selection["best"]), run.added()
    if not added:
        return best
    # What was trained elsewhere has no weights here, nor has what rests on it.
    by_score = sorted(known, key=lambda key: -selection["scores"].get(key, -math.inf))
    return next(
        key for key in by_score if not {*_combination(run, key, every).base_models} & {*added}
    )


def _loadable(run: RunFolder, config: RunConfig) -> list[str]:
    """The keys of all that the run keeps, the simplest first."""
    models = [f"base:{model}" for model in (*base_model_names(config.base_models), *run.added())]
    # The mean of one model is that model.
    votes = [VOTE] if len(models) > 1 else []
    stacks = [f"stack:{stack}" for stack in config.meta_classifiers]
    # What was chosen may be another one.
    stacks += sorted(f"stack:{file.stem}" for file in run.stacking.path.glob("*.skops"))
    return list(dict.fromkeys([*models, *votes, *_votes(run), *stacks]))
