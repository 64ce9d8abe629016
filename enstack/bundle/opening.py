"""A finished run or a bundle as a scan opens it: what is known of its model, without loading it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from enstack.bundle.choice import chosen_model
from enstack.bundle.folder import (
    BUNDLE,
    INT8,
    bundle_digest,
    is_bundle,
    listed_files,
    require_name,
    require_whole_bundle,
)
from enstack.bundle.profile import PROFILE, ScanningProfile, read_profile, write_profile
from enstack.bundle.profiling import PROFILING_EDITION, scanning_profile
from enstack.bundle.stored_model import read_stored_model
from enstack.config import RunConfig, base_model_names
from enstack.errors import CheckpointError
from enstack.run_folder import RunFolder
from enstack.storage.caches import is_usable, making_cache
from enstack.storage.files import sha256_json
from enstack.storage.manifest import read_manifest, write_manifest
from enstack.verify_run import require_finished

if TYPE_CHECKING:
    from enstack.bundle.trained_model import TrainedModel

__all__ = ["OpenedModel", "open_model"]


@dataclass(frozen=True, eq=False)
class OpenedModel:
    """A model by its place and the name that was asked for.

    digest: tells it from others, by its manifests; load reads every file.
    """

    place: Path
    name: str | None
    digest: str
    profile: ScanningProfile = field(repr=False)

    def load(self) -> TrainedModel:
        """The model, with its weights; each call loads it anew."""
        from enstack.bundle.loading import load

        return load(self.place, self.name)

    @cached_property
    def shown(self) -> str:
        """The place and the model's name, for people."""
        return f"{self.place} ({self.profile.name})"


def open_model(place: Path, name: str | None = None, *, cache_dir: Path) -> OpenedModel:
    """What scanning knows of a bundle's model, or of a run's: that is kept in cache_dir.

    name: as `load` takes it. Raises CheckpointError for what is neither, or is damaged.
    """
    if is_bundle(place):
        return _opened_bundle(place, name)
    run = RunFolder(place)
    require_finished(run)
    digest = _digest(run, chosen_model(run, RunConfig(**run.settings()), name))
    made_from = {"edition": PROFILING_EDITION, "model": digest, "inputs": run.report_inputs()}
    folder = cache_dir / "profiles" / sha256_json(made_from)
    if is_usable(folder, made_from):
        return OpenedModel(place, name, digest, read_profile(folder))
    profile = scanning_profile(place, name, local_dir=cache_dir)
    # What is not known now may be another time, when the data is back.
    if profile.known is not None:
        with making_cache(folder, made_from) as beside:
            write_profile(beside, profile)
            write_manifest(beside, made_from=made_from)
    return OpenedModel(place, name, digest, profile)


def _opened_bundle(place: Path, name: str | None) -> OpenedModel:
    require_whole_bundle(place, content=False)  # load reads the weights
    stored, profile = read_stored_model(place / BUNDLE), read_profile(place)
    require_name(place, stored, name)
    for told in ("name", "label_mode", "class_names"):
        if getattr(profile, told) != getattr(stored, told):
            raise CheckpointError(
                f"{place / PROFILE} must be of the model in {BUNDLE}, whose {told} is another. "
                "Put a good copy back, or export the run again."
            )
    opened = OpenedModel(place, name, bundle_digest(place), profile)
    return _quicker(opened) if INT8 in listed_files(place) else opened


def _quicker(opened: OpenedModel) -> OpenedModel:
    """The same as it answers in int8, where this machine does: at a temperature of its own."""
    # It takes torch to know; a scan of other bundles need not load it.
    from enstack.bundle.int8 import read_int8, takes_int8

    by = read_int8(opened.place).temperature
    if not takes_int8():
        return opened
    profile = replace(opened.profile, temperature=opened.profile.temperature * by)
    # What float32 said of a function is not what int8 says.
    return replace(opened, profile=profile, digest=sha256_json([opened.digest, "int8"]))


def _digest(run: RunFolder, key: str) -> str:
    """Of all that the model's answers depend on."""
    names = base_model_names(run.settings()["base_models"])
    weights = {name: run.base_model(name).best_model_digest() for name in names}
    return sha256_json([key, read_manifest(run.stacking.path), weights])
