"""A base model as a stage of a run: whether its results stand, and what is damaged beside them."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from enstack.base_model_folder import BaseModelFolder
from enstack.config import FIXED_SETTINGS, TOLD_BY_THE_DATA, RunConfig, base_model_names
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import SplitPlan
from enstack.metrics.chance import chance_text
from enstack.progress.screen import Part
from enstack.run_folder import RunFolder
from enstack.storage.disks import slow_storage
from enstack.storage.manifest import folder_problems, read_manifest

# Settings that decide what a finished base model is; the batch size may differ and be right still.
TRAINING_SETTINGS = (
    *(key for key in FIXED_SETTINGS if key not in TOLD_BY_THE_DATA),
    "epochs",
    "early_stopping_patience",
)


@dataclass(frozen=True)
class BaseModelStage:
    """One base model of a run: its name, how it was asked for, its folder, what decides on it.

    trained_with: the settings that shaped its training before this start, where they are known.
    """

    name: str
    model: str
    folder: BaseModelFolder
    settings: dict[str, Any]
    trained_with: dict[str, Any]

    def made_from(self) -> dict[str, Any]:
        """The inputs of its probabilities, the best model's files as they are now among them."""
        return {**self.settings, "best_model": self.folder.best_model_digest()}

    def finished(self) -> bool:
        """Whether its results stand, and the report can show how it was trained."""
        return self.unfinished_for() is None

    def unfinished_for(self) -> str | None:
        """Why its results do not stand, or can't be shown; None where they do.

        A best model that is damaged since takes nothing away from what it has predicted.
        """
        if not self.folder.probabilities.exists():
            return "it has not predicted yet"
        stored = (read_manifest(self.folder.probabilities) or {}).get("made_from", {})
        made_from = {**self.settings, "best_model": stored.get("best_model")}
        problems = folder_problems(self.folder.probabilities, made_from=made_from)
        if problems:
            return problems[0]
        # A checkpoint holds the history too: one that is lost or changed is written again from it.
        return self.folder.history_problem() if self.folder.can_restore_history() else None

    def damage(self) -> list[str]:
        """What is damaged though the results stand: a sentence each."""
        # At every start a gigabyte is read from this machine's own disk in a second, from Drive in
        # minutes: there only sizes are looked at, and whatever loads the model reads all.
        content = slow_storage(self.folder.path) is None
        lost = self.folder.best_model_problem(content=content)
        history = self.folder.history_problem()
        sentences = []
        if lost:
            sentences.append(
                f"{self.folder.best_model} is damaged ({lost}). Its results stand, but it can't be "
                "loaded. Put a good copy back."
            )
        if history:
            sentences.append(
                f"{history}, and no checkpoint is left to write it from. The results stand; the "
                "report leaves its curves out. Put a good copy back."
            )
        return sentences


def chance_of(
    name: str, folder: BaseModelFolder, data: VulnerabilityData, plan: SplitPlan
) -> str | None:
    """The sentence on a base model that has predicted, and has learned nothing; None otherwise.

    By the validation functions that chose its epoch: test is not looked at before it is declared
    what will be compared on it.
    """
    validation, task = data.splits["validation"], data.task
    labels = validation.labels[plan.selection]
    said = folder.read_probabilities("validation", validation.ids).probabilities[plan.selection]
    decisions = task.decide(said, task.choose_thresholds(labels, said))
    on_validation = task.mcc(labels, decisions), task.only_answer(decisions)
    return chance_text(name, {"validation": on_validation})


def base_model_stages(
    data: VulnerabilityData, plan: SplitPlan, config: RunConfig, run: RunFolder
) -> list[BaseModelStage]:
    """The base models of a run in their order, each with what decides whether it is finished."""
    settings = {key: getattr(config, key) for key in TRAINING_SETTINGS}
    # Base models that were finished before there was this setting do not name it.
    if config.class_weights == "none":
        del settings["class_weights"]
    if config.meta_features == "out_of_fold":
        # Without out-of-fold features nothing depends on the number of folds.
        settings["folds"] = config.folds
    if plan.folds_digest is not None:
        settings["folds_digest"] = plan.folds_digest
    # Read before any is trained: another one's training changes what config.json says.
    trained_with = run.trained_with()
    named = zip(base_model_names(config.base_models), config.base_models, strict=True)
    return [
        BaseModelStage(
            name,
            model,
            run.base_model(name),
            {"data": data.fingerprint, "base_model": model, **settings},
            {**trained_with, **run.base_model(name).trained_with()},
        )
        for name, model in named
    ]


def parts_of(
    stages: list[BaseModelStage], unfinished: Container[str], config: RunConfig
) -> list[Part]:
    """All stages of a run, with the epochs that each base model is to train, folds included."""
    trainings = 1 + (config.folds if config.meta_features == "out_of_fold" else 0)
    epochs = {one.name: config.epochs * trainings * (one.name in unfinished) for one in stages}
    return [*(Part(*one) for one in epochs.items()), Part("stacking"), Part("report")]
