"""Is this checkpoint whole, what is in it, and where will training go on? Read-only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from enstack.checkpoints.integrity import content_problems, moments_problems, structural_problems
from enstack.checkpoints.old_checkpoints import (
    TO_PREDICT_WITH,
    interpret_state,
    is_old_name,
    note_on_steps,
    optimizer_steps,
)
from enstack.checkpoints.slots import BEST, LAST, PREVIOUS, STATE_FILE, WEIGHTS_FILE, saved_number
from enstack.checkpoints.state_file import read_state
from enstack.config import scratch_dir
from enstack.errors import CheckpointError
from enstack.storage.files import read_json_object
from enstack.storage.manifest import MANIFEST, folder_problems, read_manifest

Verdict = dict[str, Any]
NOT_KNOWN: Verdict = dict.fromkeys(
    (
        "epoch",
        "step",
        "total_batches",
        "epoch_complete",
        "optimizer_steps",
        "skipped_optimizer_steps",
        "weights_bytes",
        "state_bytes",
        "resume_epoch",
        "resume_step",
        "remaining_batches",
        "epochs",
    )
)
NOWHERE: Verdict = dict.fromkeys(("resume_epoch", "resume_step", "remaining_batches"))
LAYOUTS = {"enstack": "a checkpoint", "legacy": "a checkpoint of the older program"}
WHOLE = {
    "enstack": "whole: every file is as it was written (sha256)",
    "legacy": "whole as far as can be told: the weights are complete and finite, the training "
    "state's checksums match (old weights have none)",
}


def inspect_path(path: Path) -> Verdict:
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
        name: inspect_checkpoint(folder)
        for folders in found.values()
        for name, folder in folders.items()
    }
    chosen = [_goes_on_from(folders, verdicts) for folders in found.values()]
    faults = [f"{name}: {fault}" for name, v in verdicts.items() for fault in v["problems"]]
    least = min(chosen, key=lambda v: (v["resume_epoch"] or 0, v["resume_step"] or 0))
    own = {"path": str(path), "valid": not faults, "problems": faults, "checkpoints": verdicts}
    return {**least, **own}


def inspect_checkpoint(folder: Path) -> Verdict:
    """The verdict on one checkpoint folder, with the keys of `enstack inspect --json`."""
    state, fault = _state_of(folder)
    # One of ours whose manifest was lost is no old checkpoint, but an unfinished one.
    ours = (folder / MANIFEST).exists() or (state is not None and "identity" in state)
    look = _look_at_ours if ours else _look_at_old
    facts, found = look(folder, state)
    found = found or ([fault] if fault else [])
    sizes = {
        "weights_bytes": _size(folder / WEIGHTS_FILE),
        "state_bytes": _size(folder / STATE_FILE),
    }
    return {
        "path": str(folder),
        "valid": not found,
        "problems": found,
        "layout": "enstack" if ours else "legacy",
        "notes": [],
        **NOT_KNOWN,
        **sizes,
        **facts,
    }


def _state_of(folder: Path) -> tuple[Verdict | None, str | None]:
    """The training state, or why it can't be read; neither where there is none."""
    if not (folder / STATE_FILE).is_file():
        return None, None
    try:
        return read_state(folder, mapped=True), None
    except CheckpointError as error:
        return None, str(error).rstrip(".")


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _look_at_ours(folder: Path, state: Verdict | None) -> tuple[Verdict, list[str]]:
    found = folder_problems(folder)
    if state is None:
        best_epoch = (read_manifest(folder) or {}).get("best_epoch")
        return {"epoch": best_epoch}, found
    try:
        return _position(state), found
    except CheckpointError as error:
        return {}, found or [str(error)]


def _look_at_old(folder: Path, state: Verdict | None) -> tuple[Verdict, list[str]]:
    """What the import of an old checkpoint makes of it, so that both always say the same."""
    needs_state = folder.name not in TO_PREDICT_WITH
    found = structural_problems(folder, needs_state=needs_state)
    if state is None:
        return {}, found or content_problems(folder)
    try:
        old = interpret_state(folder, state)
    except CheckpointError as error:
        return {}, found or [str(error).rstrip(".")]
    if not found:
        found = moments_problems(folder, old.optimizer) + content_problems(folder)
    skipped = note_on_steps(old) if old.skipped_steps() else []  # the figures say it already
    facts = _resumes(old.epoch, old.step, old.total_batches, old.complete)
    return {
        **facts,
        "optimizer_steps": old.applied_steps,
        "skipped_optimizer_steps": old.skipped_steps(),
        "notes": [note for note in old.notes if note not in skipped],
    }, found


def _is_checkpoint(path: Path) -> bool:
    return (path / STATE_FILE).exists() or (path / WEIGHTS_FILE).exists()


def _checkpoints_below(path: Path) -> dict[str, dict[str, Path]]:
    """By base model, the checkpoints and best models with their names, but no leftovers.

    Those that wait on the scratch disk for their copy to a run folder belong to it.
    """
    found: dict[str, dict[str, Path]] = {}
    for place, where in ((path, ""), (_scratch_of(path), "scratch disk: ")):
        for folder in sorted(place.rglob("*")) if place else ():
            name = folder.relative_to(place)  # type: ignore[arg-type]
            hidden = any(part.startswith(".") for part in name.parts)
            if not hidden and _is_kept(folder.name) and folder.is_dir():
                model = found.setdefault(name.parent.as_posix(), {})
                model[where + name.as_posix()] = folder
    return found


def _scratch_of(path: Path) -> Path | None:
    """Where this machine keeps what a run folder still lacks."""
    if not (path / "config.json").is_file():
        return None
    local_dir = read_json_object(path / "config.json").get("local_dir")
    return scratch_dir(Path(local_dir), path) if isinstance(local_dir, str) else None


def _is_kept(name: str) -> bool:
    return is_old_name(name) or name in TO_PREDICT_WITH or name.startswith(PREVIOUS)


def _goes_on_from(folders: dict[str, Path], verdicts: dict[str, Verdict]) -> Verdict:
    """The verdict on the newest whole checkpoint of a base model; without one, on the first."""
    trained = [name for name in folders if _is_trained(name)]
    whole = [name for name in trained if verdicts[name]["valid"]]
    if not whole:
        return {**verdicts[(trained or list(folders))[0]], **NOWHERE, "notes": []}

    def age(name: str) -> tuple[Any, ...]:
        """Ours after old ones; ours by their number, old ones by how far they have come."""
        verdict = verdicts[name]
        place = (verdict["resume_epoch"] or 0, verdict["resume_step"] or 0)
        return verdict["layout"] == "enstack", saved_number(folders[name]), place

    return verdicts[max(whole, key=age)]


def _position(state: Verdict) -> Verdict:
    """Where a training state of ours stands."""
    try:
        epoch, step = int(state["epoch"]), int(state["step"])
        total = int(state.get("total_batches") or 0) or None
        applied = optimizer_steps(state["optimizer_state_dict"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{STATE_FILE} lacks what training needs: {error!r}.") from error
    complete = step == 0 or (total is not None and step >= total)
    attempted = state.get("attempted_steps")
    return {
        **_resumes(epoch, step, total, complete),
        "optimizer_steps": applied,
        "skipped_optimizer_steps": None if attempted is None else int(attempted) - applied,
        "epochs": state.get("epochs"),
    }


def _resumes(epoch: int, step: int, total: int | None, complete: bool) -> Verdict:
    """Where training goes on; step 0, or one at the epoch's end, is a complete epoch."""
    return {
        "epoch": epoch,
        "step": step,
        "total_batches": total,
        "epoch_complete": complete,
        "resume_epoch": epoch + 1 if complete else epoch,
        "resume_step": 0 if complete else step,
        "remaining_batches": total if complete else total and total - step,
    }


def verdict_text(verdict: Verdict) -> str:
    """The verdict as a few lines that end in what to do."""
    mark = "✅" if verdict["valid"] else "❌"
    several = verdict.get("checkpoints", {})
    if len(several) > 1:
        told = [f"{name}: {', '.join(_facts(inner))}" for name, inner in several.items()]
    else:
        told = [*_facts(verdict), *([WHOLE[verdict["layout"]]] if verdict["valid"] else [])]
    told += [f"problem: {problem}" for problem in verdict["problems"]]
    told += [f"note: {note}" for note in verdict["notes"] if verdict["valid"] or several]
    return "\n   ".join([f"{mark} {verdict['path']}", *told, _advice(verdict)])


def _facts(verdict: Verdict) -> list[str]:
    """What is there: of which program, saved where, how large, after how many steps."""
    weights, state = verdict["weights_bytes"], verdict["state_bytes"]
    sizes = [
        f"{what} {size / 2**20:,.1f} MiB"
        for what, size in (("weights", weights), ("training state", state))
        if size is not None
    ]
    return [_saved_at(verdict), *([", ".join(sizes)] if sizes else []), *_steps(verdict)]


def _saved_at(verdict: Verdict) -> str:
    layout, epoch = LAYOUTS[verdict["layout"]], verdict["epoch"]
    if epoch is None:
        return layout
    if verdict["epoch_complete"] in (None, True):
        return f"{layout}, saved at the end of epoch {epoch}"
    total = f" of {verdict['total_batches']}" if verdict["total_batches"] else ""
    return f"{layout}, saved at epoch {epoch}, step {verdict['step']}{total}"


def _steps(verdict: Verdict) -> list[str]:
    applied, skipped = verdict["optimizer_steps"], verdict["skipped_optimizer_steps"]
    if applied is None:
        return []
    if not skipped:
        return [f"{applied:,} optimizer steps"]
    return [
        f"{applied:,} optimizer steps, about {applied + skipped:,}: {skipped:,} skipped by fp16 "
        "loss scaling, which is healthy"
    ]


def _advice(verdict: Verdict) -> str:
    one = "checkpoints" not in verdict
    if not verdict["valid"] and (one or verdict["resume_epoch"] is None):
        return _cure(verdict, one)
    to_predict = one and Path(verdict["path"]).name in TO_PREDICT_WITH
    if to_predict or verdict["resume_epoch"] is None:
        if not one and not any(_is_trained(name) for name in verdict["checkpoints"]):
            return f"There is no checkpoint to go on from, but a model to predict with ({BEST})."
        return f"These are weights to predict with; training goes on from {LAST}."
    where = f"epoch {verdict['resume_epoch']}, batch {verdict['resume_step']}"
    if verdict["epochs"] is not None and verdict["resume_epoch"] > verdict["epochs"]:
        return f"Training is finished; with more epochs it would go on at {where}."
    old = f" with resume_from={verdict['path']}" if verdict["layout"] == "legacy" else ""
    if not verdict["valid"]:
        return f"Run the pipeline again{old}: it goes on from what is whole, at {where}."
    remaining = verdict["remaining_batches"]
    left = f"; {remaining} batches of that epoch are left" if remaining else ""
    goes_on = f"it goes on at {where}{left}."
    return f"Nothing needs to be trained again: run the pipeline{old}, and {goes_on}"


def _is_trained(name: str) -> bool:
    """Whether a checkpoint of that name can be gone on from."""
    return name.rsplit("/", 1)[-1] not in TO_PREDICT_WITH


def _cure(verdict: Verdict, one: bool) -> str:
    """What to do where this is not whole, and nothing whole was found beside it."""
    if one and verdict["layout"] == "legacy":
        above = Path(verdict["path"]).parent
        return f"Put a good copy back, or try resume_from={above}: the newest whole one is taken."
    if one and verdict["resume_epoch"] is not None:
        return "Run the pipeline again: it goes on from the newest checkpoint that is whole."
    return "Put a good copy back, or run the pipeline again: it says what can be done."
