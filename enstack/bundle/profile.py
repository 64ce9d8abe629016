"""What scanning knows of a model beside its probabilities, and how it is kept in a folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

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
    stored = read_json_object(folder / PROFILE)
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
        raise CheckpointError(
            f"{folder} must hold what scanning knows of its model, as it was written: {error}. "
            "Put a good copy back, or export the run again."
        ) from error


def _profile(
    stored: dict[str, Any], known: KnownFunctions | None, familiar: Familiarity | None
) -> ScanningProfile:
    names, thresholds = tuple(stored.pop("class_names")), stored.pop("thresholds")
    measured = stored.pop("measured")
    if measured is not None:
        counts = {name: (int(a), int(b)) for name, (a, b) in measured.pop("of_class").items()}
        measured = Measured(**measured, of_class=counts)
    if thresholds is not None:
        thresholds = np.array(thresholds, dtype=np.float64)
        if thresholds.shape != (len(names),) or not np.isfinite(thresholds).all():
            raise ValueError(f"thresholds must be {len(names)} finite numbers")
    if not 0 < stored["temperature"] < np.inf:
        raise ValueError("the temperature must lie above 0")
    notes = tuple(stored.pop("notes"))
    return ScanningProfile(
        **stored,
        class_names=names,
        thresholds=thresholds,
        measured=measured,
        notes=notes,
        known=known,
        familiar=familiar,
    )
