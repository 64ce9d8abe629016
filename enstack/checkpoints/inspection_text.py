"""What an inspection has to say of a checkpoint: as values, as JSON, and as text for people."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from enstack.checkpoints.old_checkpoints import MOST_SKIPPED
from enstack.checkpoints.old_names import is_to_predict_with
from enstack.checkpoints.slots import BEST, LAST
from enstack.counting import counted
from enstack.metrics.early_stopping import stopped_early

# The loss scale begins at 2 to the 16th and is halved with each step that is skipped.
SETTLING = 16
LAYOUTS = {"enstack": "a checkpoint", "legacy": "a checkpoint of the older program"}
WHOLE = {
    "enstack": "whole: every file is as it was written (sha256)",
    "legacy": "whole as far as can be told: the weights are complete and finite, the training "
    "state's checksums match (old weights have none)",
}


@dataclass(frozen=True)
class Position:
    """Where a checkpoint stands and where training goes on from it; None where it is not known.

    epoch, resume_epoch: from 1. step, resume_step: batches done in them. total_batches: batches of
    the saved epoch. remaining_batches: of the epoch to go on in. optimizer_steps: those applied.
    epochs, patience: those asked for. stale_epochs: since the best one.
    """

    epoch: int | None = None
    step: int | None = None
    total_batches: int | None = None
    epoch_complete: bool | None = None
    optimizer_steps: int | None = None
    skipped_optimizer_steps: int | None = None
    resume_epoch: int | None = None
    resume_step: int | None = None
    remaining_batches: int | None = None
    epochs: int | None = None
    patience: int | None = None
    stale_epochs: int | None = None

    @property
    def stopped_early(self) -> str | None:
        """How training ended before its last epoch, None where it did not."""
        complete = self.epoch if self.epoch_complete else None
        return stopped_early(complete, self.stale_epochs, self.epochs, self.patience)

    @property
    def trained(self) -> bool:
        """Whether no epoch is left to train of those asked for."""
        if self.stopped_early:
            return True
        at, epochs = self.resume_epoch, self.epochs
        return at is not None and epochs is not None and at > epochs

    @property
    def place(self) -> str:
        """Where training goes on, in words."""
        return f"epoch {self.resume_epoch}, batch {self.resume_step}"


@dataclass(frozen=True)
class Verdict:
    """Whether a checkpoint, or a folder of several, is whole, and where training goes on.

    layout: "enstack", or "legacy" for the program before. weights_bytes, state_bytes: sizes of the
    two large files, None where one is missing. base_model: the one it is of. checkpoints: by name,
    the verdicts on those in a folder of several, and base_models: of each the one that training
    would go on from; None for a checkpoint itself. finished: whether its results stand in the run
    folder. stopped: how it stopped early, where its run tells. diverged: what the run said when
    its training diverged and nothing was saved since.
    """

    path: Path
    layout: str | None  # None where there is nothing to look at
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    position: Position = Position()
    weights_bytes: int | None = None
    state_bytes: int | None = None
    base_model: str | None = None
    checkpoints: dict[str, Verdict] | None = None
    base_models: dict[str, Verdict] | None = None
    finished: bool = False
    stopped: str | None = None
    diverged: str | None = None

    @property
    def stopped_early(self) -> str | None:
        """How its training ended before its last epoch, None where it did not."""
        return self.position.stopped_early or self.stopped

    @property
    def done(self) -> bool:
        """Whether a run has nothing to train of it."""
        return self.finished or self.position.trained

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems

    def beside(self, problems: list[str], notes: list[str]) -> Verdict:
        """The same with what else was found in the folder."""
        return replace(self, problems=[*self.problems, *problems], notes=[*self.notes, *notes])

    def to_json(self) -> dict[str, Any]:
        """The object of `enstack inspect --json`."""
        at = self.position
        verdict = {
            "path": str(self.path),
            "valid": self.valid,
            "problems": self.problems,
            "layout": self.layout,
            "base_model": self.base_model,
            "notes": self.notes,
            "epoch": at.epoch,
            "step": at.step,
            "total_batches": at.total_batches,
            "epoch_complete": at.epoch_complete,
            "optimizer_steps": at.optimizer_steps,
            "skipped_optimizer_steps": at.skipped_optimizer_steps,
            "weights_bytes": self.weights_bytes,
            "state_bytes": self.state_bytes,
            "resume_epoch": at.resume_epoch,
            "resume_step": at.resume_step,
            "remaining_batches": at.remaining_batches,
            "epochs": at.epochs,
            "finished": self.done,
            "stopped_early": self.stopped_early,
            "diverged": self.diverged,
        }
        if self.checkpoints is None:
            return verdict
        inner = {name: one.to_json() for name, one in self.checkpoints.items()}
        models = {name: one.to_json() for name, one in (self.base_models or {}).items()}
        return {**verdict, "base_models": models, "checkpoints": inner}


def is_trained(name: str) -> bool:
    """Whether a checkpoint of that name, with folders before it or not, can be gone on from."""
    return not is_to_predict_with(name.rsplit("/", 1)[-1])


def verdict_text(verdict: Verdict) -> str:
    """The verdict as a few lines that end in what to do."""
    mark = "✅" if verdict.valid else "❌"
    several = verdict.checkpoints or {}
    if len(several) > 1:
        told = [f"{name}: {', '.join(_contents(inner))}" for name, inner in several.items()]
    else:
        told = [*_contents(verdict), *([WHOLE[str(verdict.layout)]] if verdict.valid else [])]
    told += [f"problem: {problem}" for problem in verdict.problems]
    told += [f"{name}: {how}" for name, how in _standing(verdict).items()]
    if verdict.diverged:
        told.append(f"training diverged: {verdict.diverged}")
    if not verdict.base_models:
        told += [f"note: {note}" for note in verdict.notes if verdict.valid or several]
    return "\n   ".join([f"{mark} {verdict.path}", *told, _advice(verdict)])


def _standing(verdict: Verdict) -> dict[str, str]:
    """By base model, what its checkpoints alone do not show."""
    models = verdict.base_models or {}
    told = {
        name: [*([one.stopped_early] if one.stopped_early else []), *one.notes]
        for name, one in models.items()
    }
    return {name: "; ".join(texts) for name, texts in told.items() if texts}


def _contents(verdict: Verdict) -> list[str]:
    """What is there: of which program, saved where, how large, after how many steps."""
    sizes = [
        f"{what} {size / 2**20:,.1f} MiB"
        for what, size in (
            ("weights", verdict.weights_bytes),
            ("training state", verdict.state_bytes),
        )
        if size is not None
    ]
    steps = _steps(verdict.position)
    return [_saved_at(verdict), *([", ".join(sizes)] if sizes else []), *steps]


def _saved_at(verdict: Verdict) -> str:
    layout, at = LAYOUTS[str(verdict.layout)], verdict.position
    if at.epoch is None:
        return layout
    # Of a best model the epoch alone is known: it is chosen when that is complete.
    if at.epoch_complete in (None, True):
        return f"{layout}, saved at the end of epoch {at.epoch}"
    total = f" of {at.total_batches}" if at.total_batches else ""
    return f"{layout}, saved at epoch {at.epoch}, step {at.step}{total}"


def _steps(at: Position) -> list[str]:
    applied, skipped = at.optimizer_steps, at.skipped_optimizer_steps
    if applied is None:
        return []
    if not skipped:
        return [counted(applied, "optimizer step")]
    if not is_healthy(applied, skipped):
        told = "all skipped" if not applied else "too many of them skipped"
        return [
            f"{applied:,} of {counted(applied + skipped, 'optimizer step')}, {told}: fp16 "
            "gradients overflow; precision=fp32 helps"
        ]
    return [
        # 997 steps, about 1,000: in the words of the guide that users of old checkpoints have.
        f"{counted(applied, 'optimizer step')}, about {applied + skipped:,}: {skipped:,} skipped "
        "by fp16 loss scaling, which is healthy"
    ]


def is_healthy(applied: int, skipped: int) -> bool:
    """Whether loss scaling skipped no more steps than it does while it looks for its scale."""
    return applied > 0 and skipped <= SETTLING + MOST_SKIPPED * (applied + skipped)


def _advice(verdict: Verdict) -> str:
    at, several = verdict.position, verdict.checkpoints
    if not verdict.valid and (several is None or at.resume_epoch is None):
        return _cure(verdict)
    to_predict = several is None and is_to_predict_with(verdict.path.name)
    if to_predict or at.resume_epoch is None:
        if several is not None and not any(map(is_trained, several)):
            return f"There is no checkpoint to go on from, but a model to predict with ({BEST})."
        if verdict.finished:
            return _advice_when_done(verdict)
        return f"These are weights to predict with; training goes on from {LAST}."
    where = at.place
    if verdict.done:
        return _advice_when_done(verdict)
    # Ours are found in run_dir by themselves; an old one may lie anywhere.
    old = f" with resume_from={verdict.path}" if verdict.layout == "legacy" else ""
    if not verdict.valid:
        return f"Run the pipeline again{old}: it goes on from what is whole, at {where}."
    if verdict.diverged:
        return f"Run the pipeline with what is advised above: it goes on at {where}."
    n_left = at.remaining_batches
    left = f"; {counted(n_left, 'batch')} of that epoch to train" if n_left else ""
    goes_on = f"it goes on at {where}{left}."
    # A machine that was killed may have trained on after this save.
    saved = "" if verdict.layout == "legacy" else " that is saved here"
    return f"Nothing needs to be trained again{saved}: run the pipeline{old}, and {goes_on}"


def _advice_when_done(verdict: Verdict) -> str:
    """What is left to do where no epoch is left to train of this base model."""
    models, at = verdict.base_models or {}, verdict.position
    if unbegun := [name for name, one in models.items() if one.layout is None and not one.done]:
        are = "is" if len(unbegun) == 1 else "are"
        return f"Run the pipeline again: {', '.join(unbegun)} {are} still to be trained."
    if verdict.stopped_early:
        more = f"with early_stopping_patience=0 it would go on at {at.place}"
        return f"Training is finished: {verdict.stopped_early}; {more}."
    if at.resume_epoch is None:
        return "Training is finished."
    return f"Training is finished; with more epochs it would go on at {at.place}."


def _cure(verdict: Verdict) -> str:
    """What to do where this is not whole, and nothing whole was found beside it."""
    one = verdict.checkpoints is None
    if one and verdict.layout == "legacy":
        above = verdict.path.parent
        return f"Put a good copy back, or try resume_from={above}: the newest whole one is taken."
    if one and verdict.position.resume_epoch is not None:
        return "Run the pipeline again: it goes on from the newest checkpoint that is whole."
    return "Put a good copy back, or run the pipeline again: it says what can be done."
