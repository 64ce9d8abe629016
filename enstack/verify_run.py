"""Whether a finished run is as it ended: every file, and that they were made of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from enstack.errors import CheckpointError
from enstack.progress.bars import Bar
from enstack.progress.screen import Level
from enstack.run_folder import RunFolder
from enstack.storage.links import require_file_place
from enstack.storage.manifest import MANIFEST, files_below, folder_problems, read_manifest

MIB = 2**20
# What to do without a good copy, by the folder's name; other folders are checkpoints.
REMEDIES = {
    "best_model": "train anew with another run_dir",
    **dict.fromkeys(
        ("probabilities", "stacking", "report"),
        "move the folder elsewhere and run the pipeline again: it is made anew",
    ),
}
CHECKPOINT_REMEDY = "move the folder elsewhere: only more epochs would go on from it"


def require_finished(run: RunFolder) -> None:
    """Raise CheckpointError unless settings, data and stacks are those that were reported on.

    config.json and data.json have no manifest of their own: the report's pins them.
    """
    if not run.path.is_dir():
        found = "a file" if run.path.exists() else "nothing"
        raise CheckpointError(
            f"A run, and what was exported of one, is a folder; {run.path} is {found}. Name the "
            "run_dir of a finished run, or a folder that enstack export has made."
        )
    if not (run.report / MANIFEST).exists():
        raise CheckpointError(
            f"{run.path} must hold a finished run, it has no report: {_run_again(run)}."
        )
    _require_no_problem(run.report)
    require_as_reported(run)


def require_as_reported(run: RunFolder) -> None:
    """Raise CheckpointError where what a run's report tells of has changed since."""
    manifest = read_manifest(run.report)
    if manifest is None:
        raise CheckpointError(
            f"{run.report / MANIFEST} is damaged: what the report was made of is not known. "
            f"Run it again (enstack run {run.config_file}): what is finished is skipped."
        )
    made_from, now = manifest.get("made_from", {}), run.report_inputs()
    changed = [what for what in now if made_from.get(what) != now[what]]
    if changed:
        named = [_named_change(what, run, manifest, made_from, now) for what in changed]
        # Training that went on and was stopped looks like a hand that changed the files.
        raise CheckpointError(
            f"{run.path} is not as its run left it: {', '.join(named)} changed since its report "
            f"was written. If training went on since, {_run_again(run)}; if not, put a good copy "
            "back."
        )
    require_stacked(run)


def require_stacked(run: RunFolder) -> None:
    """Raise CheckpointError unless the stacks are as they were written, and of these probabilities.

    A report shows what probabilities vouch for, such as histories, beside the stacks themselves.
    """
    _require_no_problem(run.stacking.path)
    made_from = (read_manifest(run.stacking.path) or {}).get("made_from", {})
    for name, digest in made_from.get("probabilities", {}).items():
        base_model = run.stacked_model(name)
        # The manifest alone would vouch for files that have changed beside it.
        _require_no_problem(base_model.probabilities)
        if base_model.probabilities_digest() != digest:
            raise CheckpointError(
                f"{base_model.probabilities} must hold what the stacks were fitted on, it has "
                f"changed since. Put a good copy back, or {_run_again(run)}: it is made anew."
            )


def result_faults(run: RunFolder) -> tuple[list[str], list[str]]:
    """What is not as it was written of a run's records, probabilities, stacks, report; and notes.

    Reads only. A sentence each; in the notes, what can't be told, as of runs without manifests.
    """
    problems, notes = list(_damaged_records(run)), list[str]()
    for folder in _results(run):
        name = folder.relative_to(run.path).as_posix()
        if (folder / MANIFEST).exists():
            problems += [f"{name}: {fault}" for fault in folder_problems(folder)]
        else:
            notes.append(f"{name} has no manifest: whether it is as it was written can't be told.")
    made_from = (read_manifest(run.stacking.path) or {}).get("made_from", {})
    notes += [
        f"stacking was made from other probabilities than {name} has now: the next start makes it "
        "anew."
        for name, digest in made_from.get("probabilities", {}).items()
        if run.stacked_model(name).probabilities_digest() != digest
    ]
    return problems, notes


def _damaged_records(run: RunFolder) -> Iterator[str]:
    """What a run would refuse to go on over; a checkpoint's config.json is none of a run."""
    if not run.base_models.is_dir():
        return
    for read in (run.settings, run.data_record):
        try:
            read()
        except CheckpointError as error:
            yield str(error).rstrip(".")
    for path in (run.events_file, *sorted(run.base_models.glob("*/history.jsonl"))):
        try:
            require_file_place(path)
        except OSError as error:
            yield f"{path.relative_to(run.path)}: {error.strerror}"


def _results(run: RunFolder) -> list[Path]:
    """The folders of results that stand, those of further seeds among them."""
    patterns = ("base_models/*/probabilities", "added/*/probabilities", "stacking", "report")
    places = [run.path, *(other.path for other in run.other_seeds().values())]
    found = [path for place in places for one in patterns for path in sorted(place.glob(one))]
    return [path for path in found if path.is_dir() and any(path.iterdir())]


def _named_change(
    what: str, run: RunFolder, manifest: dict[str, Any], before: dict[str, Any], now: dict[str, Any]
) -> str:
    """An input of a report that has changed, with what of it has, where that can be told."""
    if what == "config":
        return _changed_settings(run, manifest)
    if what == "histories":
        one, other = before.get(what, {}), now[what]
        changed = [name for name in {**one, **other} if one.get(name) != other.get(name)]
        # No names: a report that is older than this record of histories.
        return f"histories of {', '.join(changed)}" if changed else what
    return what


def _changed_settings(run: RunFolder, manifest: dict[str, Any]) -> str:
    """config.json, with the settings that differ from those that were reported on."""
    before, now = manifest.get("settings", {}), run.settings()
    changed = [key for key in now if key in before and before[key] != now[key]]
    named = ", ".join(f"{key}={now[key]}, was {before[key]}" for key in changed)
    return f"config ({named})" if named else "config"


def require_whole(run: RunFolder, names: Sequence[str]) -> None:
    """Raise CheckpointError unless all that manifests list is as written, and fits together.

    names: of the run's base models. Every file is read: weights that have rotted give probabilities
    that look like any others.
    """
    folders: list[Path] = []
    for name in names:
        base_model = run.base_model(name)
        folders += [base_model.best_model, base_model.probabilities, *base_model.checkpoints()]
        _require_no_strangers(base_model.best_model)
    _verify(list(dict.fromkeys(folders)), f"Verifying {run.path.name}")
    stacked_from = (read_manifest(run.stacking.path) or {})["made_from"]["probabilities"]
    for name in names:
        base_model = run.base_model(name)
        predicted_with = (read_manifest(base_model.probabilities) or {})["made_from"]["best_model"]
        fits = predicted_with == base_model.best_model_digest()
        if not fits or stacked_from.get(name) != base_model.probabilities_digest():
            raise CheckpointError(
                f"{base_model.path} must be as it was when the stacks were fitted, it was trained "
                "on since. Run the pipeline to its end: what is finished is skipped."
            )


def _verify(folders: Sequence[Path], title: str) -> None:
    """Hold each folder against its manifest, with a bar: a run may have gigabytes, on Drive."""
    sizes = [_size(folder) for folder in folders]
    # Less than this is read before one could see a bar.
    level: Level = "batch" if sum(sizes) > 64 * MIB else "epoch"
    with Bar(max(1, sum(sizes) // MIB), title, unit="MiB", level=level) as bar:
        for folder, size in zip(folders, sizes, strict=True):
            _require_no_problem(folder)
            bar.advance(min(size // MIB, bar.total - bar.done))


def _size(folder: Path) -> int:
    manifest = read_manifest(folder) or {"files": {}}
    return sum(entry["bytes"] for entry in manifest["files"].values())


def _require_no_problem(folder: Path) -> None:
    problems = folder_problems(folder)
    if problems:
        remedy = REMEDIES.get(folder.name, CHECKPOINT_REMEDY)
        raise CheckpointError(
            f"{folder} must be as its run left it, but {problems[0]}. Put a good copy back, or "
            f"{remedy}."
        )


def _require_no_strangers(best_model: Path) -> None:
    """Transformers reads whatever it knows by name: a file more may change every token."""
    listed = (read_manifest(best_model) or {"files": {}})["files"]
    strangers = [name for name in files_below(best_model) if name not in listed]
    if strangers:
        raise CheckpointError(
            f"{best_model} must hold nothing but what its run wrote, found {strangers[0]}: move it "
            "away."
        )


def _run_again(run: RunFolder) -> str:
    if not run.config_file.exists():
        return "no run has begun there; name the run_dir of one, or what enstack export has made"
    return f"run it to its end (enstack run {run.config_file})"
