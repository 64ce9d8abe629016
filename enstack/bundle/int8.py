"""A model in int8: held against itself in float32 when exported, and tried when it is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from enstack.bundle.folder import AGAIN, INT8
from enstack.bundle.probe import PROBED
from enstack.bundle.stored_profile import first_fault
from enstack.bundle.trained_model import TrainedModel
from enstack.counting import counted
from enstack.data.functions import Functions
from enstack.errors import CheckpointError
from enstack.metrics.temperature import fit_temperature
from enstack.models.int8 import in_int8, why_no_int8
from enstack.parallel.group import current_group
from enstack.progress.quiet import quietly
from enstack.storage.files import read_json_object

__all__ = ["StoredInt8", "in_stored_int8", "read_int8", "takes_int8", "tried_in_int8"]

MOST_CHANGED = 0.001  # share of labels
# Between two machines with the same integers the floats around them differ in the last digits, and
# one of those may round to the next integer.
TOLERANCE = 0.01
# Each of the two fits lies between .01 and 100.
LEAST_RATIO, LARGEST_RATIO = 1e-4, 1e4


class StoredInt8(BaseModel):
    """What int8.json holds: of so many functions, how many get another label than in float32.

    temperature: by which that of float32 is multiplied. answers: of each base model, what it says
    of the probed functions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    functions: int = Field(gt=0, lt=1 << 53)
    changed: int = Field(ge=0, lt=1 << 53)
    temperature: FiniteFloat = Field(ge=LEAST_RATIO, le=LARGEST_RATIO)
    answers: dict[str, tuple[tuple[FiniteFloat, ...], ...]]


@dataclass(frozen=True)
class Refused:
    """Why a model is not to be had in int8, in words."""

    reason: str


def tried_in_int8(model: TrainedModel, functions: Functions | None) -> StoredInt8 | Refused:
    """Hold a model in int8 against itself in float32, on functions that it has not learned.

    functions: labelled ones of validation, None where they could not be read.
    """
    if lacking := why_no_int8():
        return Refused(lacking)
    quick = _quickened(model)
    if quick is None:
        return Refused("it needs base models of RoBERTa's family")
    if functions is None:
        return Refused("the run's data is not here, on which it is held against float32")
    texts: list[str] = functions.sources.to_pylist()
    before, after = _exact(model).predict_proba(texts), quick.predict_proba(texts)
    told = [model.task.decide(said, model.thresholds) for said in (before, after)]
    changed = int((told[0] != told[1]).reshape(len(texts), -1).any(axis=1).sum())
    if changed > MOST_CHANGED * len(texts):
        of = counted(len(texts), "validation function")
        return Refused(f"{changed:,} of {of} get another label, at most one of 1,000 may")
    # Of the same functions, so that chance, which is in both, is in neither.
    fitted = [fit_temperature(functions.labels, said, model.task) for said in (before, after)]
    answers = {one.name: one.predict_proba(list(PROBED)).tolist() for one in quick.base_models}
    return StoredInt8(
        functions=len(texts), changed=changed, temperature=fitted[1] / fitted[0], answers=answers
    )


def takes_int8() -> bool:
    """Whether models predict in int8 here; several processes share float32's weights."""
    return not why_no_int8() and current_group().size == 1


def in_stored_int8(folder: Path, model: TrainedModel) -> TrainedModel:
    """A bundle's model in int8; CheckpointError where it says something else than when exported."""
    stored, quick = read_int8(folder), _quickened(model)
    with quietly():
        for one in () if quick is None else quick.base_models:
            expected = np.array(stored.answers.get(one.name, ()))
            answers = one.predict_proba(list(PROBED))
            change = np.inf
            if expected.shape == answers.shape:
                change = float(np.abs(answers - expected).max())
            if not change <= TOLERANCE:
                raise CheckpointError(
                    f"{one.name} of {folder} must say in int8 what it said when it was exported, "
                    f"its probabilities differ by {change:.2g}. {AGAIN}"
                )
    return quick or model


def read_int8(folder: Path) -> StoredInt8:
    """What a bundle knows of its model in int8; CheckpointError where that is damaged."""
    try:
        return StoredInt8.model_validate(read_json_object(folder / INT8, otherwise=""))
    except ValidationError as error:
        raise CheckpointError(
            f"{folder / INT8} must hold how int8 was tried: {first_fault(error)}. {AGAIN}"
        ) from error


def _quickened(model: TrainedModel) -> TrainedModel | None:
    """The model with int8 encoders; None where it has none that can be."""
    exact = _exact(model)
    quick = [replace(one, quick=in_int8(one.classifier)) for one in exact.base_models]
    if not quick or any(one.quick is None for one in quick):
        return None
    return replace(exact, base_models=tuple(quick))


def _exact(model: TrainedModel) -> TrainedModel:
    """The model in float32, whatever the run predicted in."""
    exact = [
        replace(one, hardware=replace(one.hardware, precision="fp32")) for one in model.base_models
    ]
    return replace(model, base_models=tuple(exact))
