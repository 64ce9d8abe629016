"""A run's status as lines for a console, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import PurePosixPath

from enstack.console import wrapped_lines
from enstack.counting import counted
from enstack.planning.estimate import peak_of
from enstack.planning.ledger import Session, Stretch
from enstack.planning.status import ModelStatus, Status
from enstack.progress.say import about, duration
from enstack.rounding import percent

__all__ = ["status_text", "what_is_left"]

COLUMNS = 80


def status_text(status: Status) -> str:
    """What is done, what is left, and the ledger of sessions."""
    lines: list[str] = []
    for one in (status, *status.others):
        lines += [f"{one.run_dir}{'' if one.seed is None else f' (seed {one.seed})'}"]
        lines += [f"  {_model(model)}" for model in one.models]
        lines += [f"  stacking and report: {'done' if one.reported else 'to come'}"]
    lines += ["", *_wrapped(what_is_left(status))]
    for one in (status, *status.others):
        lines += ["", *_ledger(one)] if one.sessions else []
    return "\n".join(lines)


def _model(model: ModelStatus) -> str:
    done = f"{model.done:.1f}".removesuffix(".0")
    folds = f" ({counted(model.folds, 'fold')} included)" if model.folds else ""
    text = f"{model.name}: {done} of {counted(model.epochs, 'epoch')}{folds}"
    if model.finished:
        return f"{text}, finished"
    if model.done >= model.epochs:
        return f"{text}, its predictions to come"
    left = "" if model.hours_left is None else f", {about(3600 * model.hours_left)} left"
    return text + left


def what_is_left(status: Status, *, at_its_end: bool = False) -> str:
    """One or two sentences: hours and sessions, and what goes on with it.

    at_its_end: said by the process that is at work, of itself.
    """
    every = (status, *status.others)
    since = next((one.at_work_since for one in every if one.at_work_since), None)
    at_work = since is not None and not at_its_end
    if not at_work and all(one.reported for one in every):
        return "✅ Finished: nothing is left to do."
    again = "The same command goes on."
    if since is not None and at_work:
        again = f"A process of this machine is at work on it, since {_when(since)} UTC."
    if all(model.done >= model.epochs for one in every for model in one.models):
        return f"Training is done; predictions, stacking and the report are left. {again}"
    if status.hours_left is None:
        return f"How long the rest takes is known when a checkpoint of it is saved. {again}"
    sessions = status.sessions_left
    of_them = "" if sessions is None else f", {counted(sessions, 'session')} of session_hours"
    return (
        f"⏱️  {about(3600 * status.hours_left).capitalize()} of training left by the pace so far"
        f"{of_them}; tokens, predictions and stacking come on top. {again}"
    )


def _ledger(status: Status) -> Iterator[str]:
    seed = "" if status.seed is None else f" of seed {status.seed}"
    yield f"Sessions{seed}"
    for number, session in enumerate(status.sessions, 1):
        yield from _wrapped(f"{number}. {_head(session)}", "   ")
        for stretch in session.stretches:
            yield from _wrapped(f"   {_stretch(stretch)}", "     ")
            if pace := _pace(stretch, session):
                yield from _wrapped(f"     {pace}", "     ")
    yield from _wrapped(_proof(status.sessions))


def _head(session: Session) -> str:
    where = ", ".join([*session.devices, *session.precisions])
    machine = f" on {session.machine}" if session.machine else ""
    software = session.software or {}
    version = f"; enstack {software['enstack']}" if "enstack" in software else ""
    return (
        f"{_when(session.started)} to {_when(session.ended)} UTC, {session.end}: "
        f"{where or 'nothing trained'}{machine}{version}"
    )


def _when(time: str) -> str:
    return time[:16].replace("T", " ")  # to the minute


def _stretch(one: Stretch) -> str:
    begin = "?" if one.first is None else _position(one.first)
    text = f"{PurePosixPath(one.folder).as_posix().removeprefix('base_models/')}: "
    text += f"epochs {begin} → {_position(one.last)}"
    if one.training_seconds is None:
        return text
    saving, waiting = duration(one.saving_seconds or 0), duration(one.waiting_seconds or 0)
    return (
        f"{text} in {duration(one.training_seconds)}, validation included; in it waits: {saving} "
        f"for saves, {waiting} for data"
    )


def _pace(one: Stretch, session: Session) -> str:
    """How fast it went, and how much of that was use: of padding's rest, and of a known GPU."""
    if one.functions_per_second is None or one.tokens_per_second is None or one.useful is None:
        return ""
    functions, tokens = f"{one.functions_per_second:,.3g}", f"{one.tokens_per_second:,.0f}"
    parts = [f"steps alone: functions/s {functions}, tokens/s {tokens}"]
    parts += [f"{percent(one.useful)} of the work no padding"]
    whole = [peak_of(*pair) for pair in product(session.devices, session.precisions)]
    if len(whole) == 1 and whole[0] and one.flops_per_second:
        parts += [f"{percent(one.flops_per_second / whole[0], 0)} of the GPU's peak"]
    if one.peak_memory:
        parts += [f"{one.peak_memory / 2**30:.1f} GiB of its memory"]
    if one.joules:
        parts += [f"{one.joules / 3.6e6:.2g} kWh"]
    return "; ".join(parts)


def _position(epochs: float) -> str:
    return f"{epochs:.2f}".rstrip("0").rstrip(".")


def _proof(sessions: list[Session]) -> str:
    """Whether the parts fit together, as far as their digests tell."""
    fits = [(number, one) for number, s in enumerate(sessions, 1) for one in s.stretches]
    wrong = [(number, one) for number, one in fits if one.fits is False]
    if wrong:
        number, one = wrong[0]
        return (
            f"⚠️  Session {number} went on with {one.folder} from a checkpoint that no session has "
            "recorded: the one before was cut off before it could, or the checkpoint is another's."
        )
    joints = sum(one.fits is True for _, one in fits)
    if not joints:
        return "Each training was done within one session."
    return (
        f"✅ The parts fit together: training went on {counted(joints, 'time')}, from checkpoints "
        "that earlier sessions had left, by their digests."
    )


def _wrapped(text: str, indent: str = "") -> list[str]:
    return wrapped_lines(text, COLUMNS, later=indent)
