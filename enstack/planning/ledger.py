"""The ledger of a run: what each session trained, on what, and whether the parts fit together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from enstack.storage.json_text import parsed_json

__all__ = ["Session", "Stretch", "events_of", "read_sessions"]

Event = dict[str, Any]

# A start that only found everything finished is no session.
PROGRESS = ("saved", "epoch_finished", "base_model_finished", "stacking_finished")
ENDS = {"run_finished": "finished", "run_stopped": "stopped"}


@dataclass(frozen=True)
class Stretch:
    """What a session trained of one base model or fold, up to its last checkpoint.

    folder: of the training, in the run folder. first, last: epochs trained before and after, with
    the part of one. began_with, left: digests of the checkpoints; fits: whether an earlier session
    left the one it began with, None where it began anew or there is no record. Seconds of the
    session: training_seconds, all in; in saving_seconds and waiting_seconds of them the model
    waited for saves and for data. functions_per_second, tokens_per_second: of the steps, tokens
    without padding; flops_per_second: on those tokens; useful: their share of all FLOPs, padding
    included; peak_memory: of the GPU, bytes; joules: that it used meanwhile. None: not recorded.
    """

    folder: str
    first: float | None
    last: float
    began_with: str | None
    left: str | None
    fits: bool | None
    training_seconds: float | None
    saving_seconds: float | None
    waiting_seconds: float | None
    functions_per_second: float | None = None
    tokens_per_second: float | None = None
    flops_per_second: float | None = None
    useful: float | None = None
    peak_memory: int | None = None
    joules: float | None = None


@dataclass(frozen=True)
class Session:
    """A start of the program that got something done; what older programs did not record is None.

    software: versions and commit; devices, precisions: of the trainings, several processes as
    "2 x CPU"; ended: when something was last done; end: finished, stopped, at work, or cut off,
    where no end is recorded; then message is None.
    """

    started: str
    ended: str
    end: str
    message: str | None
    software: dict[str, Any] | None
    machine: str | None
    devices: list[str]
    precisions: list[str]
    stretches: list[Stretch]


def read_sessions(lines: Iterable[str], at_work_since: str | None = None) -> list[Session]:
    """The sessions that the lines of an events.jsonl tell of, in order.

    at_work_since: when the process began that is at work now, as events are dated.
    """
    parts: list[list[Event]] = []
    for event in events_of(lines):
        if event["event"] == "run_started" or not parts:
            parts.append([])
        parts[-1].append(event)
    known: dict[str, set[str]] = {}  # digests of all checkpoints so far, by folder
    return [
        _session(part, known, at_work_since)
        for part in parts
        if any(one["event"] in PROGRESS for one in part)
    ]


def events_of(lines: Iterable[str]) -> Iterable[Event]:
    """Whatever can be read as an event."""
    for line in lines:
        try:
            event = parsed_json(line)
        except ValueError:
            continue  # a line that was cut when a machine went away tells nothing
        if isinstance(event, dict) and {"time", "event"} <= event.keys():
            yield event


def _session(events: list[Event], known: dict[str, set[str]], at_work_since: str | None) -> Session:
    last = [event for event in events if event["event"] in PROGRESS][-1]
    began = [event for event in events if event["event"] == "training_started"]
    ends = [event for event in events if event["event"] in ENDS]
    software, machine = events[0].get("software"), events[0].get("machine")
    at_work = at_work_since is not None and str(events[0]["time"]) >= at_work_since
    return Session(
        started=events[0]["time"],
        ended=last["time"],
        end=ENDS[ends[-1]["event"]] if ends else "at work" if at_work else "cut off",
        message=_text(ends[-1].get("message")) if ends else None,
        software=software if isinstance(software, dict) else None,
        machine=_text(machine),
        devices=_once(map(_devices, began)),
        precisions=_once(event.get("precision") for event in began),
        stretches=_stretches(events, known),
    )


def _stretches(events: list[Event], known: dict[str, set[str]]) -> list[Stretch]:
    saves: dict[str, list[Event]] = {}
    begun: dict[str, Event] = {}
    for event in events:
        folder = str(event.get("folder"))
        if event["event"] == "saved":
            saves.setdefault(folder, []).append(event)
        elif event["event"] == "training_begun":
            begun.setdefault(folder, event)
    return [
        _stretch(folder, begun.get(folder), of_folder, known.setdefault(folder, set()))
        for folder, of_folder in saves.items()
    ]


def _stretch(folder: str, begun: Event | None, saves: list[Event], known: set[str]) -> Stretch:
    last, began_with = saves[-1], _text((begun or {}).get("checkpoint"))
    fits = None if began_with is None else began_with in known
    known.update(filter(None, (_text(save.get("checkpoint")) for save in saves)))
    return Stretch(
        folder=folder,
        first=None if begun is None else _epochs(begun),
        last=_epochs(last),
        began_with=began_with,
        left=_text(last.get("checkpoint")),
        fits=fits,
        training_seconds=last.get("training_seconds"),
        saving_seconds=last.get("saving_seconds"),
        waiting_seconds=last.get("waiting_seconds"),
        functions_per_second=_ratio(last, "trained_functions", "step_seconds"),
        tokens_per_second=_ratio(last, "trained_tokens", "step_seconds"),
        flops_per_second=_ratio(last, "trained_flops", "step_seconds"),
        useful=_ratio(last, "trained_flops", "padded_flops"),
        peak_memory=last.get("peak_memory"),
        joules=last.get("joules"),
    )


def _epochs(event: Event) -> float:
    """Epochs trained at a position, where step 0 stands for a complete epoch."""
    epoch, step = int(event.get("epoch", 0)), int(event.get("step", 0))
    if not step:
        return epoch
    # Older programs recorded batches alone, which are of several sizes where that was changed.
    part = event.get("part", step / max(step, int(event.get("total_batches", 0))))
    return epoch - 1 + float(part)


def _ratio(event: Event, of: str, to: str) -> float | None:
    """One count over another, None where either was not recorded or nothing was done."""
    return event[of] / event[to] if event.get(of) and event.get(to) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _devices(began: Event) -> str | None:
    """What a training ran on: "Tesla T4", "2 x Tesla T4" in two processes."""
    device, processes = _text(began.get("device")), began.get("processes", 1)
    return device if device is None or processes == 1 else f"{processes} x {device}"


def _once(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(value for value in values if isinstance(value, str)))
