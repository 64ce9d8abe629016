"""A finished run's model as a bundle: one folder that scans and others can use, with a card."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from enstack import __version__
from enstack.bundle.card import model_card
from enstack.bundle.choice import chosen_model
from enstack.bundle.folder import (
    BUNDLE,
    CARD,
    DETAILS,
    INT8,
    INT8_EDITION,
    is_bundle,
    require_whole_bundle,
    write_parts,
)
from enstack.bundle.int8 import Refused, StoredInt8, tried_in_int8
from enstack.bundle.loading import assembled
from enstack.bundle.parts import parts_of_run
from enstack.bundle.probe import write_probe
from enstack.bundle.profile import write_profile
from enstack.bundle.profiling import scanning_profile, validation_functions
from enstack.bundle.stored_model import read_stored_model, stored_model
from enstack.bundle.trained_model import TrainedModel
from enstack.config import RunConfig
from enstack.counting import counted
from enstack.errors import CheckpointError, ConfigError, reason_of
from enstack.progress.say import say
from enstack.run_folder import RunFolder
from enstack.storage.files import sha256_json, write_json, write_text
from enstack.storage.folders import replacing_folder
from enstack.storage.links import names_in, occupied
from enstack.storage.manifest import file_problem, read_manifest
from enstack.storage.places import require_own_place
from enstack.storage.software import software

__all__ = ["export_run", "is_exported", "require_bundle_place"]


def export_run(
    run_dir: Path, to: Path, name: str | None = None, *, cache_dir: Path, int8: bool = False
) -> Path:
    """Write a finished run's model into a folder of its own, and return the folder.

    name: as `load` takes it. to: a new folder, an empty one, or an earlier bundle. cache_dir: where
    columns of the run's data are kept. int8: have it predict so on a CPU, where that changes few
    labels; where not, a line says so, and the bundle has float32 alone. Raises ConfigError for
    another folder, CheckpointError for a run that can't be loaded or a disk that can't be written
    to.
    """
    place = require_bundle_place(to, run_dir)
    parts = parts_of_run(run_dir, name)
    run = RunFolder(run_dir)
    say(f"▶ Exporting {parts.key} of {run_dir}")
    profile = scanning_profile(run_dir, parts.key, local_dir=cache_dir)
    made_with, record = software(__version__), run.data_record()
    stored = stored_model(
        parts,
        record["label_mode"],
        record.get("label_rule"),
        _made_from(run),
        made_with,
    )
    model, details = assembled(parts), dict[str, Any](DETAILS)
    quick = _in_int8(model, run_dir, cache_dir) if int8 else None
    try:
        with replacing_folder(place, details) as beside:
            write_parts(beside, parts, run.stacking)
            write_json(beside / BUNDLE, stored.model_dump(mode="json"))
            write_probe(beside, model)
            if quick is not None:
                write_json(beside / INT8, quick.model_dump(mode="json"))
                details["edition"] = INT8_EDITION
            write_profile(beside, profile)
            write_text(beside / CARD, model_card(run, stored, profile, made_with, quick))
    except OSError as error:
        raise CheckpointError(
            f"The bundle must be written into {place}: {reason_of(error)}. Make room, or name "
            "another folder."
        ) from error
    require_whole_bundle(place)
    return place


def _in_int8(model: TrainedModel, run_dir: Path, cache_dir: Path) -> StoredInt8 | None:
    """How the model was tried in int8; None where it is not to be had, which is said."""
    tried = tried_in_int8(model, validation_functions(run_dir, local_dir=cache_dir))
    if isinstance(tried, Refused):
        say(f"⚠️  Exported without int8: {tried.reason}.")
        return None
    of = counted(tried.functions, "validation function")
    say(f"✅ In int8 {tried.changed:,} of {of} get another label")
    return tried


def require_bundle_place(to: Path, run_dir: Path | None = None) -> Path:
    """Where a bundle may be written: a folder that is new, empty, or an earlier bundle's.

    Raises ConfigError for any other, for nothing of anybody's is written over.
    """
    # A link is followed to the folder that is meant, and stays.
    place = Path(os.path.realpath(to))
    require_own_place(place, "to")
    rule = "A bundle must go into a new folder, an empty one, or an earlier bundle"
    if run_dir is not None and place in (run := Path(os.path.realpath(run_dir)), *run.parents):
        raise ConfigError(f"{rule}; {to} holds the run itself. Name another folder.")
    if occupied(place) and not place.is_dir():
        raise ConfigError(f"{rule}; {to} is a file. Name another folder.")
    inside = names_in(place)
    listed = (read_manifest(place) or {"files": {}})["files"]
    if inside and not (is_bundle(place) and listed):
        raise ConfigError(f"{rule}; {to} holds {inside[0].name}. Name another folder.")
    # The one file that people add words of their own to.
    if CARD in listed and occupied(place / CARD) and file_problem(place / CARD, listed[CARD]):
        raise ConfigError(
            f"{place / CARD} was changed since it was exported, and is not written over. Move it "
            "elsewhere, or name another folder."
        )
    return place


def is_exported(run_dir: Path, place: Path, name: str | None = None) -> bool:
    """Whether a place holds this run's model already, as far as sizes of weights tell."""
    if not is_bundle(place):
        return False
    run = RunFolder(run_dir)
    try:
        require_whole_bundle(place, content=False)
    except CheckpointError:
        return False  # it is made anew
    stored = read_stored_model(place / BUNDLE)
    key = chosen_model(run, RunConfig(**run.settings()), name)
    return (stored.name, stored.made_from) == (key, _made_from(run))


def _made_from(run: RunFolder) -> dict[str, str]:
    """What a model was made from: the run's name, and digests."""
    return {
        "run": run.path.resolve().name,
        "data": str(run.data_record()["fingerprint"]),
        "stacking": sha256_json(read_manifest(run.stacking.path)),
        "report": sha256_json(read_manifest(run.report)),
    }
