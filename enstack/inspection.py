"""Is this checkpoint whole, what is in it, and where will training go on? Read-only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from enstack.checkpoint import LAST, STATE_FILE, WEIGHTS_FILE, read_state
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

    A folder of several gives the verdict on the one that has come least far, and all of them under
    `checkpoints`.
    """
    if not path.is_dir():
        raise CheckpointError(f"A checkpoint is a folder; {path} is none.")
    folders = _checkpoints_below(path)
    if not folders:
        raise CheckpointError(
            f"{path} holds no checkpoint: no {STATE_FILE}, no {WEIGHTS_FILE}, no {LAST} below it."
        )
    if folders == [path]:
        return inspect_checkpoint(path)
    verdicts = {
        folder.relative_to(path).as_posix(): inspect_checkpoint(folder) for folder in folders
    }
    least = min(verdicts.values(), key=_place)
    return {
        **least,
        "path": str(path),
        "valid": all(verdict["valid"] for verdict in verdicts.values()),
        "problems": [
            f"{name}: {problem}" for name, v in verdicts.items() for problem in v["problems"]
        ],
        "checkpoints": verdicts,
    }


def inspect_checkpoint(folder: Path) -> dict[str, Any]:
    """The verdict on one checkpoint folder, with the keys of `enstack inspect --json`."""
    layout = "enstack" if (folder / MANIFEST).exists() else "legacy"
    found = problems(folder) if layout == "enstack" else structural_problems(folder)
    weights = folder / WEIGHTS_FILE
    facts = {**NOT_KNOWN, "weights_bytes": weights.stat().st_size if weights.is_file() else None}
    if (folder / STATE_FILE).is_file():
        try:
            facts |= _position(read_state(folder))
        except CheckpointError as error:
            found = found or [str(error)]
    elif (read_manifest(folder) or {}).get("best_epoch"):
        facts["epoch"] = (read_manifest(folder) or {})["best_epoch"]
    verdict = {"path": str(folder), "valid": not found, "problems": found, "layout": layout}
    return {**verdict, **facts}


def _checkpoints_below(path: Path) -> list[Path]:
    if (path / STATE_FILE).exists() or (path / WEIGHTS_FILE).exists():
        return [path]
    return [path] if (path / MANIFEST).exists() else sorted(path.rglob(LAST))


def _place(verdict: dict[str, Any]) -> tuple[int, int, int]:
    return (verdict["valid"], verdict["resume_epoch"] or 0, verdict["resume_step"] or 0)


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
    if not verdict["valid"]:
        return "Run the pipeline again: it goes on from the newest checkpoint that is whole."
    if verdict["resume_epoch"] is None:
        return "These are weights to predict with; training goes on from last_checkpoint."
    where = f"epoch {verdict['resume_epoch']}, batch {verdict['resume_step']}"
    return f"Nothing needs to be trained again: run the pipeline, and it goes on at {where}."
