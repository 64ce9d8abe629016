"""What scanning.json holds, checked: its types, finite numbers, and a threshold for each class."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_validator,
)

__all__ = ["StoredProfile", "first_fault"]

MOST = 1 << 53  # beyond it JSON's readers round
Count = Annotated[NonNegativeInt, Field(le=MOST)]


class StoredMeasured(BaseModel):
    """What alerts were worth on test, as in profile.Measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: Count
    vulnerable: Count
    alerts: Count
    right: Count
    of_class: dict[str, tuple[Count, Count]]


class StoredProfile(BaseModel):
    """The fields of profile.ScanningProfile but what training functions were like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    label_mode: str
    class_names: tuple[str, ...] = Field(min_length=2)
    max_length: PositiveInt = Field(le=MOST)
    source: str
    comments: bool | None
    final_newline: bool
    temperature: FiniteFloat = Field(gt=0)
    thresholds: tuple[FiniteFloat, ...] | None
    error_from: FiniteFloat | None
    sure_from: FiniteFloat | None
    n_validation: Count
    measured: StoredMeasured | None
    notes: tuple[str, ...]

    @model_validator(mode="after")
    def _fits(self) -> StoredProfile:
        if len({*self.class_names}) < len(self.class_names):
            raise ValueError("classes must have names of their own")
        if self.thresholds is not None and len(self.thresholds) != len(self.class_names):
            raise ValueError("there must be a threshold for each class")
        if self.measured is not None and not {*self.measured.of_class} <= {*self.class_names}:
            raise ValueError("what was measured must be of the classes")
        return self


def first_fault(error: ValidationError) -> str:
    """Where the first fault lies, and what it is."""
    fault = error.errors()[0]
    where = ".".join(map(str, fault["loc"]))
    return f"{where or 'it'}: {fault['msg']}"
