"""Is this checkpoint whole, what is in it, and where will training go on? Read-only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from enstack.checkpoint import (
    BEST,
    LAST,
    PREVIOUS,
    STATE_FILE,
    WEIGHTS_FILE,
    read_state,
    saved_number,
)
from enstack.errors import CheckpointError
from enstack.files import MANIFEST, problems, read_manifest
from enstack.legacy import optimizer_steps, structural_problems

NOT_KNOWN: dict[str, Any] = dict.fromkeys(
    (
        "epoch",
        "step",
        "total_batches",
        "epoch_complete",
        "optimizer_steps",
        "skipped_optimizer_steps",
        "weights_bytes",
        "resume_epoch",
        "resume_step",
        "remaining_batches",
    )
)


def inspect_path(path: Path) -> dict[str, Any]:
    """The verdict on a checkpoint, a base model's folder or a run folder.

    A folder of several checkpoints gives, of each base model, the one that training would go on
    from; the verdict is that of the base model that has come least far, every checkpoint stands
    under `checkpoints`, and whatever is damaged among the problems.
    """
    if not path.is_dir():
        raise CheckpointError(f"A checkpoint is a folder; {path} is none.")
    if _is_checkpoint(path):
        return inspect_checkpoint(path)
    found = _checkpoints_below(path)
    if not found:
        raise CheckpointError(
            f"{path} holds no checkpoint: no {STATE_FILE}, no {WEIGHTS_FILE}, no {LAST} below it."
        )
    verdicts = {
        folder.relative_to(path).as_posix(): inspect_checkpoint(folder)
        for folders in found.values()
        for folder in folders
    }
    chosen = [_goes_on_from(folders, verdicts, path) for folders in found.values()]
    faults = [f"{name}: {fault}" for name, v in verdicts.items() for fault in v["problems"]]
    least = min(chosen, key=lambda v: (v["resume_epoch"] or 0, v["resume_step"] or 0))
    own = {"path": str(path), "valid": not faults, "problems": faults, "checkpoints": verdicts}
    return {**least, **own}


def inspect_checkpoint(folder: Path) -> dict[str, Any]:
    """The verdict on one checkpoint folder, with the keys of `enstack inspect --json`."""
    weights, fault, state = folder / WEIGHTS_FILE, None, None
    if (folder / STATE_FILE).is_file():
        try:
            state = read_state(folder)
        except CheckpointError as error:
            fault = str(error)
    manifest = read_manifest(folder)
    # One of ours whose manifest was lost is no old checkpoint, but an unfinished one.
    ours = (folder / MANIFEST).exists() or (state is not None and "identity" in state)
    found = problems(folder) if ours else structural_problems(folder)
    facts = {**NOT_KNOWN, "weights_bytes": weights.stat().st_size if weights.is_file() else None}
    if state is not None:
        try:
            facts |= _position(state)
        except CheckpointError as error:
            fault = str(error)
    elif manifest is not None and "best_epoch" in manifest:
        facts["epoch"] = manifest["best_epoch"]
    if fault is not None and not found:
        found = [fault]
    layout = "enstack" if ours else "legacy"
    return {
        "path": str(folder),
        "valid": not found,
        "problems": found,
        "layout": layout,
        **facts,
        "epochs": (state or {}).get("epochs"),
    }


def _is_checkpoint(path: Path) -> bool:
    return (path / STATE_FILE).exists() or (path / WEIGHTS_FILE).exists()


def _checkpoints_below(path: Path) -> dict[Path, list[Path]]:
    """The checkpoints and the best model of each base model's folder."""
    found: dict[Path, list[Path]] = {}
    for kind in (LAST, f"{PREVIOUS}*", BEST):
        for folder in sorted(path.rglob(kind)):
            if folder.is_dir():
                found.setdefault(folder.parent, []).append(folder)
    return found


def _goes_on_from(
    folders: list[Path], verdicts: dict[str, dict[str, Any]], path: Path
) -> dict[str, Any]:
    """The verdict on the newest whole checkpoint of a base model, or on its first one."""
    whole = [
        folder
        for folder in folders
        if folder.name != BEST and verdicts[folder.relative_to(path).as_posix()]["valid"]
    ]
    chosen = max(whole, key=saved_number, default=folders[0])
    return verdicts[chosen.relative_to(path).as_posix()]


def _position(state: dict[str, Any]) -> dict[str, Any]:
    """Where a training state stands; step 0, or one at the epoch's end, is a complete epoch."""
    try:
        epoch, step = int(state["epoch"]), int(state["step"])
        total = int(state.get("total_batches") or 0) or None
        applied = optimizer_steps(state["optimizer_state_dict"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{STATE_FILE} lacks what training needs: {error!r}.") from error
    complete = step == 0 or (total is not None and step >= total)
    attempted = state.get("attempted_steps")
    return {
        "epoch": epoch,
        "step": step,
        "total_batches": total,
        "epoch_complete": complete,
        "optimizer_steps": applied,
        "skipped_optimizer_steps": None if attempted is None else int(attempted) - applied,
        "resume_epoch": epoch + 1 if complete else epoch,
        "resume_step": 0 if complete else step,
        "remaining_batches": total if complete else total and total - step,
    }


def verdict_text(verdict: dict[str, Any]) -> str:
    """The verdict as a few lines that end in what to do."""
    lines = [f"{'✅' if verdict['valid'] else '❌'} {verdict['path']}"]
    for name, inner in verdict.get("checkpoints", {"": verdict}).items():
        lines.append(f"   {name + ': ' if name else ''}{_where(inner)}")
    lines += [f"   problem: {problem}" for problem in verdict["problems"]]
    lines.append(f"   {_advice(verdict)}")
    return "\n".join(lines)


def _where(verdict: dict[str, Any]) -> str:
    size = verdict["weights_bytes"]
    parts = [f"layout {verdict['layout']}", f"weights {size / 2**20:.1f} MiB" if size else None]
    if verdict["optimizer_steps"] is not None:
        parts.append(f"epoch {verdict['epoch']}, step {verdict['step']}")
        parts.append(f"of {verdict['total_batches']}" if verdict["total_batches"] else None)
        parts.append(f"{verdict['optimizer_steps']:,} optimizer steps")
    return ", ".join(part for part in parts if part)


def _advice(verdict: dict[str, Any]) -> str:
    if verdict["resume_epoch"] is None:
        if not verdict["valid"]:
            return "Put a good copy back, or run the pipeline again: it says what can be done."
        return "These are weights to predict with; training goes on from last_checkpoint."
    where = f"epoch {verdict['resume_epoch']}, batch {verdict['resume_step']}"
    if not verdict["valid"] and "checkpoints" not in verdict:
        return "Run the pipeline again: it goes on from the newest checkpoint that is whole."
    if verdict["epochs"] is not None and verdict["resume_epoch"] > verdict["epochs"]:
        return f"Training is finished; with more epochs it would go on at {where}."
    if not verdict["valid"]:
        return f"Run the pipeline again: it goes on from what is whole, at {where}."
    return f"Nothing needs to be trained again: run the pipeline, and it goes on at {where}."
