"""What scanning knows of a model beside its probabilities, and how it is kept in a folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from enstack.bundle.stored_profile import StoredProfile, first_fault
from enstack.data.labels import task_of
from enstack.duplicates.familiarity import Familiarity
from enstack.duplicates.known_functions import KnownFunctions
from enstack.errors import CheckpointError
from enstack.metrics.alert_rule import AlertRule
from enstack.metrics.label_task import LabelTask
from enstack.metrics.temperature import tempered
from enstack.storage.arrays import read_arrays
from enstack.storage.files import read_json_object, replacing_file, sha256_json, write_json

__all__ = ["Measured", "ScanningProfile", "read_profile", "write_profile"]

PROFILE, TRAINING = "scanning.json", "training_functions.npz"
PROFILE_EDITION = 1  # raise when what is kept changes its meaning
KNOWN = ("known_ids", "known_tokens", "known_bands", "known_low", "known_of")
FAMILIAR = ("token_hashes", "token_counts", "token_total", "limits", "limits_of")


@dataclass(frozen=True)
class Measured:
    """What alerts were worth on test: of n functions, `vulnerable` are, `alerts` were alerted.

    right: alerts of vulnerable functions, or where nothing is clean, of the right class. of_class:
    by class, how many alerts named it, and how many of these functions have it.
    """

    n: int
    vulnerable: int
    alerts: int
    right: int
    of_class: dict[str, tuple[int, int]]


@dataclass(frozen=True, eq=False)
class ScanningProfile:
    """What scanning must know of a model: all of it chosen on validation, and measured on test.

    name: the model's key, as in the leaderboard. source: what it has learned from, in words.
    comments: whether training functions have any; None where that is not known. final_newline:
    whether most of them end in one. temperature: of the model's probabilities. thresholds: (k,) of
    calibrated probabilities, see AlertRule. error_from: the score from which on nine of ten alerts
    are right. sure_from: the confidence below which the model abstains, as from there on eight of
    ten answers are right. Both None where nothing can be promised. measured: None where the run
    does not tell. known, familiar: what training functions were like; None where they could not be
    read. notes: what is not known, and why.
    """

    name: str
    label_mode: str
    class_names: tuple[str, ...]
    max_length: int
    source: str
    comments: bool | None
    final_newline: bool
    temperature: float
    thresholds: np.ndarray | None
    error_from: float | None
    sure_from: float | None
    n_validation: int
    measured: Measured | None
    known: KnownFunctions | None = field(default=None, repr=False)
    familiar: Familiarity | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def task(self) -> LabelTask:
        """What the model is asked."""
        return task_of(self.label_mode, self.class_names)

    @property
    def rule(self) -> AlertRule:
        """When a function is alerted."""
        return AlertRule(self.task, self.thresholds)

    @property
    def digest(self) -> str:
        """Tells this profile from others, as hex."""
        return sha256_json([self.to_json(), self.known and self.known.n_train])

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        """The probabilities (n, k) of the model, as far as they can be believed."""
        return tempered(probabilities, self.temperature, self.task)

    def to_json(self) -> dict[str, Any]:
        """All of it but what training functions were like."""
        measured = None if self.measured is None else asdict(self.measured)
        names = (
            *("name", "label_mode", "class_names", "max_length", "source", "comments"),
            *("final_newline", "temperature", "thresholds", "error_from", "sure_from"),
            *("n_validation", "notes"),
        )
        values = {name: getattr(self, name) for name in names}
        return {"edition": PROFILE_EDITION, **values, "measured": measured}


def write_profile(folder: Path, profile: ScanningProfile) -> None:
    """Write a profile into a folder, as scanning.json and training_functions.npz."""
    write_json(folder / PROFILE, profile.to_json())
    parts = [one.arrays() for one in (profile.known, profile.familiar) if one is not None]
    arrays = {name: array for part in parts for name, array in part.items()}
    with replacing_file(folder / TRAINING) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)


def read_profile(folder: Path) -> ScanningProfile:
    """The profile that a folder holds; CheckpointError where it holds none that can be used."""
    stored = read_json_object(folder / PROFILE, otherwise="")
    if stored.pop("edition", None) != PROFILE_EDITION:
        raise CheckpointError(
            f"{folder / PROFILE} must be of edition {PROFILE_EDITION}: another version of enstack "
            "wrote it. Export the run again with this one."
        )
    try:
        arrays = read_arrays(folder / TRAINING, (), optional=(*KNOWN, *FAMILIAR))
        known = KnownFunctions.of_arrays(arrays) if "known_ids" in arrays else None
        familiar = Familiarity.of_arrays(arrays) if "limits" in arrays else None
        return _profile(stored, known, familiar)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = first_fault(error) if isinstance(error, ValidationError) else error
        raise CheckpointError(
            f"{folder} must hold what scanning knows of its model, as it was written: {reason}. "
            "Put a good copy back, or export the run again."
        ) from error


def _profile(
    stored: dict[str, Any], known: KnownFunctions | None, familiar: Familiarity | None
) -> ScanningProfile:
    values = StoredProfile.model_validate(stored)
    thresholds = None if values.thresholds is None else np.array(values.thresholds, np.float64)
    measured = None if values.measured is None else Measured(**values.measured.model_dump())
    others = values.model_dump(exclude={"thresholds", "measured"})
    return ScanningProfile(
        **others, thresholds=thresholds, measured=measured, known=known, familiar=familiar
    )
