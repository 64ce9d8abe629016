"""What bundle.json holds: a model's name, classes, thresholds, base models and vote; checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from enstack.bundle.parts import Member, ModelParts
from enstack.bundle.stored_profile import first_fault
from enstack.errors import CheckpointError
from enstack.stacking.votes import Vote
from enstack.stacking.word_counts import WORDS
from enstack.storage.files import read_json_object

__all__ = ["StoredMember", "StoredModel", "read_stored_model", "stored_model"]

Precision = Literal["auto", "fp32", "fp16", "bf16"]
MOST = 1 << 20  # tokens of a text, functions at once: more is a slip, or a trap


class StoredMember(BaseModel):
    """A base model's name, which is its folder's too, and how it predicts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[^/\\\x00]+$")
    max_length: int = Field(gt=0, le=MOST)
    batch_size: int = Field(gt=0, le=MOST)
    precision: Precision


class StoredVote(BaseModel):
    """How often each base model counts, and at which temperature."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    picks: dict[str, int] = Field(min_length=1)
    temperatures: dict[str, float]


class StoredModel(BaseModel):
    """The model of a bundle; vote is None where a meta-classifier answers, or words are counted.

    made_from: digests of the run; made_with: versions of software.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    label_mode: str
    label_rule: str | None
    class_names: tuple[str, ...] = Field(min_length=2)
    thresholds: tuple[float, ...] | None
    base_models: tuple[StoredMember, ...]
    vote: StoredVote | None
    made_from: dict[str, Any]
    made_with: dict[str, Any]

    @model_validator(mode="after")
    def _fits(self) -> StoredModel:
        names = [one.name for one in self.base_models]
        if (not names) != (self.name == WORDS):
            raise ValueError("counted words alone have no base models")
        if len({*names}) < len(names) or {".", ".."} & {*names}:
            raise ValueError("base models must have names of their own")
        if self.vote is not None and list(self.vote.picks) != names:
            raise ValueError("the vote must count the base models, in their order")
        if self.vote is not None and min(self.vote.picks.values()) < 1:
            raise ValueError("the vote must count each base model once at least")
        if (self.thresholds is not None) != (self.label_mode == "multilabel"):
            raise ValueError("thresholds belong to several flags, and to them alone")
        if self.thresholds is not None and len(self.thresholds) != len(self.class_names):
            raise ValueError("there must be a threshold for each flag")
        return self


def stored_model(
    parts: ModelParts,
    label_mode: str,
    label_rule: str | None,
    made_from: dict[str, Any],
    made_with: dict[str, Any],
) -> StoredModel:
    """What bundle.json will hold of a model."""
    vote, thresholds = parts.combination, parts.thresholds
    return StoredModel(
        name=parts.key,
        label_mode=label_mode,
        label_rule=label_rule,
        class_names=parts.task.class_names,
        thresholds=None if thresholds is None else tuple(thresholds.tolist()),
        base_models=tuple(StoredMember(**_as_stored(one)) for one in parts.members),
        vote=StoredVote(**vote.to_json()) if isinstance(vote, Vote) else None,
        made_from=made_from,
        made_with=made_with,
    )


def _as_stored(member: Member) -> dict[str, Any]:
    return {name: getattr(member, name) for name in StoredMember.model_fields}


def read_stored_model(path: Path) -> StoredModel:
    """The values of a bundle.json; CheckpointError where they are not what a bundle has."""
    try:
        return StoredModel.model_validate(read_json_object(path, otherwise=""))
    except ValidationError as error:
        raise CheckpointError(
            f"{path} must hold the model of a bundle: {first_fault(error)}. Put a good copy back, "
            "or export the run again."
        ) from error
