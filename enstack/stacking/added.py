"""Models trained elsewhere: their probabilities, checked against a run's functions, and kept."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from enstack.base_model_folder import save_probabilities
from enstack.config import RunConfig, base_model_names
from enstack.counting import counted
from enstack.data.functions import VulnerabilityData
from enstack.data.holdout import SplitPlan
from enstack.errors import CheckpointError, ConfigError, DataError
from enstack.metrics.label_task import LabelTask
from enstack.progress.say import say
from enstack.run_folder import RunFolder
from enstack.stacking.added_names import names_taken, refuse_our_names, require_name
from enstack.stacking.meta_features import ON_TEST, BaseModelProbabilities, refuse_leaks
from enstack.stacking.near_copies import near_copy_of
from enstack.stacking.probability_files import (
    GivenProbabilities,
    digest_of_files,
    files_of,
    read_given,
)
from enstack.storage.folders import replacing_folder
from enstack.storage.manifest import folder_problems, read_manifest

__all__ = ["Added", "add_models", "require_added_whole"]

NO_ANSWER = "Where a value is missing or NaN, have the model judge these functions again."
LOGITS = "Logits must go through a softmax, or of flags a sigmoid, first."
SUM_TOLERANCE = 1e-3  # what rounding to four digits leaves of a sum of ten


@dataclass(frozen=True)
class Added:
    """Models trained elsewhere, a file of probabilities each; unseen: as add_models has it."""

    files: Mapping[str, Path] = field(default_factory=dict)
    unseen: bool = False

    def keep_in(
        self,
        run: RunFolder,
        data: VulnerabilityData,
        plan: SplitPlan,
        config: RunConfig,
        unfinished: Mapping[str, str],
    ) -> None:
        """Keep them in a run, whose base models must all be trained; raises as add_models.

        unfinished: of the base models that are not, by name, why.
        """
        if unfinished:
            name, why = next(iter(unfinished.items()))
            more = f" ({len(unfinished) - 1} more)" if len(unfinished) > 1 else ""
            raise CheckpointError(
                f"{run.path} must have all its base models trained, with the probabilities that "
                f"each has predicted, before it is stacked again; {name} has not{more}: {why}. "
                f"Put a good copy back, or run it to its end: enstack run {run.config_file}."
            )
        add_models(self.files, run, data, plan, config.base_models, unseen=self.unseen)


def add_models(
    given: Mapping[str, Path],
    run: RunFolder,
    data: VulnerabilityData,
    plan: SplitPlan,
    base_models: Sequence[str],
    *,
    unseen: bool,
) -> None:
    """Keep the probabilities of models by name in a run, once all of all files is checked.

    given: a file or folder for each name; base_models: as the run's settings name them. unseen:
    the giver's word that no model has seen functions that it is stacked or measured on, for files
    without such marks. Raises DataError for a file that does not fit the run's functions,
    ConfigError for a name that can't be taken, or where the word is missing.
    """
    checked: dict[str, tuple[list[Path], GivenProbabilities]] = {}
    for name, place in given.items():
        require_name(name, base_models)
        files = files_of(place)
        if not _is_kept(name, place, digest_of_files(files), run):
            refuse_our_names(name)
            checked[name] = files, _checked(name, files, data, plan, unseen=unseen)
            _refuse_a_copy(name, checked, run, base_models, data)
    # Nothing is kept of any where one is refused.
    for name, (files, probabilities) in checked.items():
        _keep(name, files, probabilities, run, data, plan)
        say(f"✓ {name}: added, {counted(len(probabilities.ids), 'function')} of {files[0].name}")


def require_added_whole(run: RunFolder, base_models: Sequence[str]) -> None:
    """Raise CheckpointError where a kept model has changed since, or bears a base model's name."""
    for name in run.added():
        if name.casefold() in names_taken(base_models):
            raise CheckpointError(
                f"{run.added_model(name).path} is a model that was added under the name of a base "
                "model. Move the folder away, or name the base model otherwise."
            )
        problems = folder_problems(run.added_model(name).probabilities)
        if problems:
            raise CheckpointError(
                f"The added model {name} must be as it was given, but {problems[0]}. Move "
                f"{run.added_model(name).path} out of the run and add its file again (enstack "
                f"stack {run.path} --add {name}=FILE)."
            )


def _refuse_a_copy(
    name: str,
    checked: Mapping[str, tuple[Sequence[Path], GivenProbabilities]],
    run: RunFolder,
    base_models: Sequence[str],
    data: VulnerabilityData,
) -> None:
    """A model under two names says nothing new, and votes twice; a near copy of one too."""
    ids = data.splits["test"].ids
    ours = _rows(name, checked[name][1], ids).probabilities
    others = {one: _rows(one, given, ids).probabilities for one, (_, given) in checked.items()}
    for stored in (*base_model_names(base_models), *run.added()):
        if run.stacked_model(stored).probabilities.is_dir():
            others[stored] = run.stacked_model(stored).read_probabilities("test", ids).probabilities
    del others[name]
    twin = near_copy_of(ours, others, data.task)
    if twin is not None:
        raise ConfigError(
            f"{name} must be another model than those that are stacked already, and says of "
            f"{counted(len(ids), 'test function')} what {twin.name} says: {twin}. The same model "
            "under two names says nothing new. Leave it out."
        )


def _is_kept(name: str, place: Path, digest: str, run: RunFolder) -> bool:
    """Whether this very content was added under this name; ConfigError for other content."""
    kept = next((one for one in run.added() if one.casefold() == name.casefold()), None)
    if kept is None:
        return False
    known = (read_manifest(run.added_model(kept).probabilities) or {}).get("made_from", {})
    if kept == name and known.get("sha256") == digest:
        say(f"✓ {name}: added before, skipped")
        return True
    of = f"{known.get('file', 'another file')} with sha256 {known.get('sha256', 'unknown')[:12]}"
    raise ConfigError(
        f"{run.path} has a model {kept} already, of {of}; {place} has {digest[:12]}. Use another "
        f"name, or move {run.added_model(kept).path} out of the run first."
    )


def _checked(
    name: str, files: Sequence[Path], data: VulnerabilityData, plan: SplitPlan, *, unseen: bool
) -> GivenProbabilities:
    given = read_given(files, data.class_names)
    if given.data not in (None, data.fingerprint):
        raise DataError(
            f"{name}: its file is of another run, on other functions or labels (data fingerprint "
            f"{str(given.data)[:12]}, this run has {data.fingerprint[:12]}). Have the model judge "
            "this run's functions."
        )
    if given.seen is None and not unseen:
        raise ConfigError(
            f"{name} must say which functions it has seen, in training or in being chosen: its "
            "file has no column seen. Add one (true, false), or say --unseen (in Python: "
            "unseen=True) if it has seen none that it is stacked or measured on. Nothing can check "
            "that; the report will say that it is your word."
        )
    _require_ids(name, given.ids, data, plan)
    _require_probabilities(name, given, data.task)
    _refuse_seen(name, given, data, plan)
    return given


def _needed(data: VulnerabilityData, plan: SplitPlan) -> dict[str, np.ndarray]:
    """By split, the functions (n,) that a model must tell of to be stacked and measured."""
    return {
        split: data.splits[split].ids
        for split in dict.fromkeys((plan.meta_split, "validation", "test"))
    }


def _require_ids(name: str, ids: np.ndarray, data: VulnerabilityData, plan: SplitPlan) -> None:
    values, counts = np.unique(ids, return_counts=True)
    doubled = values[counts > 1]
    if len(doubled):
        raise DataError(
            f"{name} must tell of each function once; more than once: "
            f"{counted(len(doubled), 'id')}, first {doubled[0]}. Leave one row of each."
        )
    every = np.concatenate([split.ids for split in data.splits.values()])
    foreign = values[~np.isin(values, every)]
    if len(foreign):
        raise DataError(
            f"{name} must tell of the run's functions alone; none of them: {len(foreign):,} of "
            f"{counted(len(ids), 'id')}, first {foreign[0]}. An id is the split "
            f"and the row in its file, from 0, as {data.splits['test'].ids[0]}; "
            "a subset has some of the rows."
        )
    for split, wanted in _needed(data, plan).items():
        missing = wanted[~np.isin(wanted, values)]
        if len(missing):
            raise DataError(
                f"{name} must tell of all {counted(len(wanted), f'{split} function')}; missing: "
                f"{len(missing):,}, first {missing[0]}. Have the model judge these too; base "
                "models' own files name all that are asked for, by their ids."
            )


def _require_probabilities(name: str, given: GivenProbabilities, task: LabelTask) -> None:
    outside = ~((given.probabilities >= 0) & (given.probabilities <= 1))  # NaN too
    rows = np.flatnonzero(outside.any(axis=1))
    if len(rows):
        raise DataError(
            f"{name} must have probabilities from 0 to 1; others in {len(rows):,} of "
            f"{counted(len(given.ids), 'row')}, first {given.ids[rows[0]]}: "
            f"{', '.join(f'{value:g}' for value in given.probabilities[rows[0]])}. "
            f"{NO_ANSWER if np.isnan(given.probabilities).any() else LOGITS}"
        )
    if task.has_thresholds:
        return
    sums = given.probabilities.sum(axis=1)
    rows = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)
    if len(rows):
        raise DataError(
            f"The probabilities of a function must add up to 1; {name} has other sums in "
            f"{len(rows):,} of {counted(len(given.ids), 'row')}, first {given.ids[rows[0]]}: "
            f"{sums[rows[0]]:g}. Give all classes of the run, as a softmax leaves them."
        )


def _refuse_seen(
    name: str, given: GivenProbabilities, data: VulnerabilityData, plan: SplitPlan
) -> None:
    """Before anything is kept: the guard would refuse the run at every later start."""
    meta_rows = data.splits[plan.meta_split].ids[plan.meta_rows]
    refuse_leaks([_rows(name, given, meta_rows)])
    refuse_leaks([_rows(name, given, data.splits["test"].ids)], ON_TEST)


def _rows(name: str, given: GivenProbabilities, ids: np.ndarray) -> BaseModelProbabilities:
    """What is said of some functions (n,), found by id."""
    order = np.argsort(given.ids, kind="stable")
    rows = order[np.searchsorted(given.ids, ids, sorter=order)]
    seen = np.zeros(len(ids), dtype=bool) if given.seen is None else given.seen[rows]
    return BaseModelProbabilities(name, ids, given.probabilities[rows].astype(np.float32), seen)


def _keep(
    name: str,
    files: Sequence[Path],
    given: GivenProbabilities,
    run: RunFolder,
    data: VulnerabilityData,
    plan: SplitPlan,
) -> None:
    """Copy the files into the run, and beside them what is used of them, split by split."""
    made_from: dict[str, Any] = {
        "file": files[0].name if len(files) == 1 else files[0].parent.name,
        "sha256": digest_of_files(files),
        "data": data.fingerprint,
        "seen": "stated by the giver" if given.seen is None else "marked in the file",
    }
    with replacing_folder(run.added_model(name).probabilities, {"made_from": made_from}) as beside:
        (beside / "given").mkdir()
        for path in files:
            shutil.copyfile(path, beside / "given" / path.name)
        for split, ids in _needed(data, plan).items():
            said = _rows(name, given, ids)
            save_probabilities(
                beside / f"{split}.npz", ids, said.probabilities, said.seen, made_from
            )
