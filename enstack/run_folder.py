"""RunFolder: every path and every record of a run, written and read here alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from enstack.base_model_folder import BaseModelFolder
from enstack.config import SHAPE_TRAINING_ALONE, RunConfig, base_model_names
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import Folds, SplitPlan
from enstack.data.stored_division import write_division
from enstack.data.stored_folds import read_folds, write_folds
from enstack.data.subset_manifest import subset_manifest
from enstack.errors import CheckpointError
from enstack.stacking_folder import StackingFolder
from enstack.storage.files import (
    append_json_line,
    read_json_object,
    sha256_file,
    sha256_json,
    timestamp,
    write_if_changed,
)
from enstack.storage.json_text import json_text
from enstack.storage.links import require_file_place
from enstack.storage.manifest import read_manifest


@dataclass(frozen=True)
class RunFolder:
    """A run folder: where each thing lies, and what is recorded of the run."""

    path: Path

    @property
    def config_file(self) -> Path:
        """The validated configuration."""
        return self.path / "config.json"

    @property
    def data_file(self) -> Path:
        """What the data is: fingerprint, counts, how it was divided."""
        return self.path / "data.json"

    @property
    def subset_file(self) -> Path:
        """Which functions a subset drew, and how."""
        return self.path / "subset.json"

    @property
    def folds_file(self) -> Path:
        """Of out-of-fold features, the fold of each training function."""
        return self.path / "folds.npz"

    @property
    def division_file(self) -> Path:
        """Which split each row of a table without splits went to."""
        return self.path / "division.npz"

    @property
    def events_file(self) -> Path:
        """What happened when, a JSON line each; only ever added to."""
        return self.path / "events.jsonl"

    @property
    def prepared(self) -> Path:
        """Caches that were made before, for a machine that has none."""
        return self.path / "prepared"

    @property
    def base_models(self) -> Path:
        """The folder of the base models' folders."""
        return self.path / "base_models"

    def base_model(self, name: str) -> BaseModelFolder:
        """The folder of a base model, by the name it goes by in the run."""
        return BaseModelFolder(self.base_models / name)

    def tensorboard(self, name: str) -> Path:
        """The folder of a base model's curves for TensorBoard."""
        return self.path / "tensorboard" / name

    def added_model(self, name: str) -> BaseModelFolder:
        """The folder of a model that was trained elsewhere; it has probabilities alone."""
        return BaseModelFolder(self.path / "added" / name)

    def added(self) -> list[str]:
        """The names of the models that were trained elsewhere, in order."""
        # Without a manifest a folder was never finished, or is somebody else's.
        found = self.path.glob("added/*/probabilities/manifest.json")
        return sorted(path.parent.parent.name for path in found)

    def stacked_model(self, name: str) -> BaseModelFolder:
        """The folder of a model that is stacked, whether trained here or elsewhere."""
        return self.added_model(name) if name in self.added() else self.base_model(name)

    def of_seed(self, seed: int) -> RunFolder:
        """The folder of the same run under another seed, a run of its own."""
        return RunFolder(self.path / "seeds" / str(seed))

    def other_seeds(self) -> dict[int, RunFolder]:
        """The folders of the other seeds whose stacks are finished, in order."""
        places = self.path.glob("seeds/*/stacking/manifest.json")
        names = [path.parent.parent.name for path in places]
        return {seed: self.of_seed(seed) for seed in sorted(map(int, filter(str.isdecimal, names)))}

    @property
    def stacking(self) -> StackingFolder:
        """The stacks and the leaderboard."""
        return StackingFolder(self.path / "stacking")

    @property
    def report(self) -> Path:
        """The folder of the page, its JSON form and its pictures."""
        return self.path / "report"

    @property
    def report_page(self) -> Path:
        """The report for people, one file."""
        return self.report / "report.html"

    @property
    def report_data(self) -> Path:
        """The same for programs."""
        return self.report / "report.json"

    @property
    def figures(self) -> Path:
        """The report's pictures."""
        return self.report / "figures"

    def events(self) -> list[str]:
        """The lines of events.jsonl, none where there is no such file."""
        if not self.events_file.exists():
            return []
        require_file_place(self.events_file)
        return self.events_file.read_text(encoding="utf-8", errors="replace").splitlines()

    def log(self, event: str, **details: Any) -> None:
        """Add a line to events.jsonl: time, event, details."""
        append_json_line(self.events_file, {"time": timestamp(), "event": event, **details})

    def recorded(self, key: str) -> tuple[Any, Path] | None:
        """What a base model was made with, and the folder whose manifest says so.

        config.json and data.json are for people, and can be edited: where the two differ, this is
        right. None where nothing is trained yet, or what is there is older than such records.
        """
        folders = map(BaseModelFolder, sorted(self.base_models.glob("*/")))
        every = (folder.recorded(key) for folder in folders)
        return next((found for found in every if found is not None), None)

    def has_trained(self) -> bool:
        """Whether any checkpoint or best model lies here."""
        return any(self.base_models.glob("**/manifest.json"))

    def settings(self) -> dict[str, Any]:
        """The recorded configuration, with keys in lower case; empty where there is none yet."""
        if not self.config_file.exists():
            return {}
        # Old folders have USE_SWA and the like.
        settings = {key.lower(): value for key, value in read_json_object(self.config_file).items()}
        strangers = settings.keys() - RunConfig.model_fields
        # A key or two may be another version's; another file in its place has few of ours.
        if len(strangers) > len(settings) / 2:
            found = ", ".join(sorted(strangers))
            raise CheckpointError(
                f"{self.config_file} must hold a run's settings, found {found}. Put a good copy "
                "back, or move it elsewhere: then the checkpoints tell the settings."
            )
        return settings

    def data_record(self) -> dict[str, Any]:
        """What is recorded of the data; empty where there is no record yet."""
        if not self.data_file.exists():
            return {}
        recorded = read_json_object(self.data_file)
        if recorded.get("fingerprint") is None:
            found = ", ".join(sorted(recorded.keys() - {"fingerprint"})) or "nothing"
            raise CheckpointError(
                f"{self.data_file} must hold what a run's data is, found {found}. Put a good copy "
                "back, or move it elsewhere: then it is written anew."
            )
        return recorded

    def report_inputs(self) -> dict[str, Any]:
        """What a report is made of, as digests: another value, and it is out of date."""
        histories = sorted(self.base_models.glob("*/history.jsonl"))
        others = {
            str(seed): sha256_json(read_manifest(run.stacking.path))
            for seed, run in self.other_seeds().items()
        }
        return {
            **({"seeds": others} if others else {}),
            "stacking": sha256_json(read_manifest(self.stacking.path)),
            "config": sha256_json(read_json_object(self.config_file)),
            "data": sha256_json(read_json_object(self.data_file)),
            # No manifest lists these files: their bytes are taken.
            "subset": _digest_if_there(self.subset_file),
            "histories": {path.parent.name: _digest_if_there(path) for path in histories},
        }

    def record(
        self,
        config: RunConfig,
        data: VulnerabilityData,
        plan: SplitPlan,
        *,
        kept: dict[str, Any],
    ) -> None:
        """Write config.json, data.json and what they need beside them, unless it stands already.

        kept: settings that stay as they are recorded, whatever is asked for now.
        """
        settings = config.model_dump(mode="json") | kept
        write_if_changed(self.config_file, _as_text(settings))
        held_out = plan.summary(config.meta_features, config.seed)
        summary = data.summary() | {"groups": data.groups_in_test(), "holdout": held_out}
        # Base models add theirs when they are done: what was added before is kept.
        summary["truncated"] = self.data_record().get("truncated", {})
        if self.added():
            summary["added"] = {name: self._origin_of_added(name) for name in self.added()}
        write_if_changed(self.data_file, _as_text(summary))
        if plan.folds is not None and plan.folds.kept_together:
            write_folds(self.folds_file, data.splits["train"].ids, plan.folds)
        if data.division is not None:
            write_division(self.division_file, data.division)
        if config.subset != "all" or data.division is not None:
            write_if_changed(self.subset_file, _as_text(subset_manifest(config, data)))

    def read_folds(self, ids: np.ndarray) -> Folds | None:
        """The folds of these training functions (n,), None where no file tells them."""
        return read_folds(self.folds_file, ids)

    def _origin_of_added(self, name: str) -> dict[str, Any]:
        made_from = (read_manifest(self.added_model(name).probabilities) or {}).get("made_from", {})
        return {key: made_from.get(key) for key in ("file", "sha256", "seen")}

    def record_truncation(self, name: str) -> None:
        """Add to data.json how many functions were too long for a base model, per split."""
        recorded = read_json_object(self.data_file)
        known = {**recorded["truncated"], name: self.base_model(name).n_truncated()}
        # In the order of the settings, whichever was done first: equal runs leave equal files.
        order = [*base_model_names(self.settings()["base_models"]), *known]
        truncated = {one: known[one] for one in dict.fromkeys(order) if one in known}
        write_if_changed(self.data_file, _as_text({**recorded, "truncated": truncated}))

    def trained_with(self) -> dict[str, Any]:
        """Settings that shaped the training alone, as they were when it ended; empty if unknown.

        config.json can be edited: it is right where it agrees with the manifest of any base model,
        for base models may differ.
        """
        every = [BaseModelFolder(folder).trained_with() for folder in self.base_models.glob("*/")]
        known, stored = [one for one in every if one], self.settings()
        agreed = {
            key: known[-1][key]
            for key in SHAPE_TRAINING_ALONE
            if known and stored.get(key) not in [one.get(key) for one in known]
        }
        return {key: stored[key] for key in SHAPE_TRAINING_ALONE if key in stored} | agreed

    def kept_settings(self, config: RunConfig) -> dict[str, Any]:
        """What shaped the training so far, where something else is asked for now."""
        known = self.trained_with().items()
        return {key: value for key, value in known if value != getattr(config, key)}


def _digest_if_there(path: Path) -> str | None:
    return sha256_file(path) if path.exists() else None


def _as_text(value: Any) -> str:
    return json_text(value, indent=2, ensure_ascii=False) + "\n"
