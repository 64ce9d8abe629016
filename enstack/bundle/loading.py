"""A finished run or a bundle as one model that judges new functions, once its files are whole."""

from __future__ import annotations

from pathlib import Path

from enstack.bundle.folder import INT8, is_bundle, listed_files, parts_of_bundle
from enstack.bundle.int8 import in_stored_int8, takes_int8
from enstack.bundle.parts import Member, ModelParts, parts_of_run
from enstack.bundle.probe import require_same_answers
from enstack.bundle.trained_model import TrainedModel
from enstack.errors import CheckpointError, ConfigError, EnstackError, reason_of
from enstack.metrics.label_task import LabelTask
from enstack.models.base_models import BaseModel, load_classifier, load_tokenizer, refuse_length
from enstack.models.fine_tuned import FineTunedModel
from enstack.models.hardware import Hardware, choose_device
from enstack.models.int8 import why_no_int8
from enstack.progress.say import say

__all__ = ["assembled", "load"]


def load(place: str | Path, name: str | None = None) -> TrainedModel:
    """Load what a finished run has trained, or a bundle of it, once every file is whole.

    name: a stack ("lr"), a base model ("codebert"), "vote" or "greedy", with its kind before it
    ("stack:lr") where two have the same, or "tfidf_lr", the counted words; by default what did best
    by cross-validation on the functions that the stacks are fitted on, these words aside. A bundle
    holds one model. Raises CheckpointError for a run that is unfinished, damaged, or was trained on
    after its stacks were fitted, and for a bundle that is not as it was exported; ConfigError for a
    name that is not there.
    """
    folder = Path(place)
    if not is_bundle(folder):
        return assembled(parts_of_run(folder, name))
    parts = parts_of_bundle(folder, name)
    try:
        model = assembled(parts)
        _require_ids(model)
        require_same_answers(folder, model)
        if INT8 in listed_files(folder):
            model = _quicker(folder, model)
    except ConfigError as error:  # nobody has set anything: it is the bundle that is wrong
        raise CheckpointError(f"{folder} can't be loaded. {error}") from error
    except EnstackError:
        raise
    except Exception as error:  # libraries fail anywhere on values that fit no model
        raise CheckpointError(
            f"{folder} must hold a model that answers; {type(error).__name__}: {reason_of(error)}. "
            "Put a good copy back, or export the run again."
        ) from error
    return model


def _quicker(folder: Path, model: TrainedModel) -> TrainedModel:
    """The model in int8 where this machine gains by it; else as it is, which a CPU is told."""
    if takes_int8():
        return in_stored_int8(folder, model)
    if choose_device().type == "cpu":
        lacking = why_no_int8() or "several processes predict together"
        say(f"▶ {folder.name} predicts in float32 here, not in int8: {lacking}")
    return model


def _require_ids(model: TrainedModel) -> None:
    """Raise ConfigError where a text could have a token that an encoder has no vector for."""
    for one in model.base_models:
        known = one.classifier.get_input_embeddings().num_embeddings
        highest = max(one.tokenizer.get_vocab().values(), default=-1)
        if highest >= known:
            raise ConfigError(
                f"The ids of the tokenizer of {one.name} must be below {known:,}, found "
                f"{highest:,}. Put a good copy of its tokenizer there."
            )


def assembled(parts: ModelParts) -> TrainedModel:
    """The model that these are the parts of, with its weights on this machine's device."""
    base_models = tuple(_fine_tuned(one, parts.task) for one in parts.members)
    return TrainedModel(parts.key, parts.task, base_models, parts.combination, parts.thresholds)


def _fine_tuned(member: Member, task: LabelTask) -> FineTunedModel:
    best = BaseModel(member.name, str(member.folder))
    # No workers: the tokens are in memory, and starting a process would take longer.
    hardware = Hardware.choose(_precision(member), num_workers=0)
    # The seed is that of a new head, which no trained model gets.
    classifier = load_classifier(best, task.class_names, seed=0, problem_type=task.problem_type)
    refuse_length(best, classifier.config, member.max_length)
    return FineTunedModel(
        member.name,
        classifier.to(hardware.device),
        load_tokenizer(best),
        member.max_length,
        member.batch_size,
        hardware,
    )


def _precision(member: Member) -> str:
    """The precision that the run predicted with; on a CPU, which is slow in fp16, fp32 for that."""
    slow = member.precision == "fp16" and choose_device().type == "cpu"
    return "fp32" if slow else member.precision
