"""Damages every file of a run and of its scratch disk, one at a time: is any used in silence?

python -m tests.sweeps.damage [finished | unfinished | local] [--seed N] [--every N] [--only TEXT]
                              [--kind TEXT]

A run of three tiny base models is finished, and stopped half-way; then each of its files, and each
that its scratch disk keeps, is flipped (a bit), cut, removed, swapped with its neighbours (the same
kind of file or folder of another base model, split or key) and replaced by that of another run; a
folder, with a user's file or without, takes a file's place, and a user's file that of a folder.
After each damage the run is started again, inspected, reported and loaded. What comes out must be
identical, made anew and identical, told (the results stand, a line names the damage), or refused
in an error that names it. A user's file must be there afterwards, and once it is moved away, as
the error says, the run must go on. Prints a table; exits 1 where something was used in silence or
lost, failed in another way, or where the advice of an error leads nowhere.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import io
import itertools
import os
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch

import enstack
from enstack import inputs
from enstack.config import RunConfig
from enstack.errors import EnstackError, Interrupted
from enstack.pipeline import run_pipeline
from enstack.progress.stopping import StopAfter
from enstack.storage.links import occupied, remove
from enstack.toy.tiny_models import write_encoder
from enstack.training import trainer
from tests.support.equality import tree_digest
from tests.support.micro import MICRO, write_micro_data

FUNCTIONS = ["int f(char *s) { char b[8]; strcpy(b, s); return b[0]; }", "g(a) { return a->b; }"]
SPLITS = ("train", "validation", "test")
STOP_AFTER = 26  # looks for a stop: in the second base model's second epoch
# events.jsonl is a log on which nothing depends; a lock's file may hold anything.
EXCEPTED = ("events.jsonl", "locks/")
# These tell how long each model took, and when: what is trained again takes other times.
TIMED = ("stacking/costs.json", "report/report.html", "report/report.json")
CLOCK = re.compile(
    rb'"(training_minutes|seconds_per_1000)": [^,}]+|data-label="[^"]*(min|s for )[^"]*"[^>]*>[^<]*'
    # Each start that makes something anew is a session, which the report names.
    rb'|(?s:"sessions": \[.*?\n    \])|>sessions</span>[^/]*</span></dt><dd>\d+'
    rb'|<li><span lang="en">[^<>]{16,25} to .*?</li>\s*|\d{4}-\d\d-\d\d[T ][\d:+]+'
)
OTHER_RUNS = "other run's"
IN_ITS_PLACE = "in its place"  # how these kinds of damage end
OWN = "a user's own words, in no other file"
# What a run tells: these must come out the same.
RESULTS = (
    "config.json",
    "data.json",
    "subset.json",
    "base_models/*/history.jsonl",
    "base_models/*/probabilities/*.npz",
    # Not *.skops: an archive holds the time of its making. What it says stands in the others.
    "stacking/*.csv",
    "stacking/*.json",
    "stacking/*.npz",
    "report/report.*",
    "report/figures/*",
)


@dataclasses.dataclass
class Place:
    """Where a run and what belongs to it lie; kept: copies of it as it was, by name."""

    work: Path
    kept: Path

    @property
    def run(self) -> Path:
        return self.work / "run"

    @property
    def local(self) -> Path:
        return self.work / "local"

    def config(self, name: str = "run", **more: Any) -> RunConfig:
        models = [str(self.work / "models" / name) for name in ("micro", "micro-b")]
        settings = {
            "data_dir": str(self.work / "data"),
            "label_mode": "multilabel",
            "subset": 30,
            "base_models": [*models, "tiny-a"],
            "epochs": 2,
            "batch_size": 4,
            "max_length": 32,
            "save_steps": 2,
            "learning_rate": 1e-3,
            "precision": "fp32",
            "drop_near_duplicates": 0.99,
            "meta_classifiers": ["lr"],
            "num_workers": 0,
            "local_dir": str(self.local),
            "run_dir": str(self.work / name),
        }
        return RunConfig(**{**settings, **more})

    def keep(self, name: str) -> None:
        for part in ("run", "local"):
            shutil.copytree(self.work / part, self.kept / name / part)

    def put_back(self, name: str) -> None:
        for part in ("run", "local"):
            shutil.rmtree(self.work / part, ignore_errors=True)
            shutil.copytree(self.kept / name / part, self.work / part)

    def results(self) -> dict[str, str]:
        digests = tree_digest(self.run)
        told = {p.relative_to(self.run).as_posix() for g in RESULTS for p in self.run.glob(g)}
        told.discard("stacking/manifest.json")
        untimed = {
            name: without_clock(self.run / name) for name in told.intersection(TIMED, digests)
        }
        return {name: untimed.get(name, digests[name]) for name in digests if name in told}

    def page(self) -> dict[str, str]:
        return {name: one for name, one in self.results().items() if name.startswith("report/")}


def without_clock(path: Path) -> str:
    """The digest of a result but for what a clock has put into it."""
    return hashlib.sha256(CLOCK.sub(b"", path.read_bytes())).hexdigest()


@dataclasses.dataclass
class Damage:
    """One damage: of what, which kind, how it is done, and the names of which one must be told."""

    what: str
    kind: str
    apply: Callable[[], None]
    names: tuple[str, ...]
    path: Path | None = None  # where something stands that must be moved away, for the run to go on


def prepare(place: Place) -> None:
    """The run as it is when finished, and when stopped, and another one with another seed."""
    write_micro_data(place.work / "data")
    texts = ["int f(void) { return 0; }", *FUNCTIONS]
    for number, name in enumerate(("micro", "micro-b")):
        write_encoder(place.work / "models" / name, MICRO, texts, seed=number)
    inputs.slow_storage = lambda path: "fuse.drive"
    with silence():
        with stopping_after(STOP_AFTER), contextlib.suppress(Interrupted):
            run_pipeline(place.config())
        place.keep("unfinished")
        run_pipeline(place.config())
        place.keep("finished")
        run_pipeline(place.config("other", seed=7))


@contextlib.contextmanager
def stopping_after(looks: int) -> Iterator[None]:
    before = trainer.train_base_model.__defaults__
    stop = StopAfter(looks)
    stops = lambda: contextlib.nullcontext(stop)  # noqa: E731
    trainer.train_base_model.__defaults__ = (stops, *(before or ())[1:])
    try:
        yield
    finally:
        trainer.train_base_model.__defaults__ = before


@contextlib.contextmanager
def silence() -> Iterator[io.StringIO]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield said


def damages(root: Path, other: Path | None, chance: random.Random) -> Iterator[Damage]:
    """Every damage to what lies below a folder; other: the same folder of another run."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    for path in files:
        name = path.relative_to(root).as_posix()
        for kind, inside in (("an empty folder", ()), ("a full folder", ("note.txt",))):
            place_it = lambda p=path, i=inside: folder_for_file(p, i)  # noqa: E731
            yield Damage(name, f"{kind} {IN_ITS_PLACE}", place_it, names_of(path), path)
        if any(part in name for part in EXCEPTED):
            continue
        names = names_of(path)
        size = path.stat().st_size
        if size:
            at, bit = chance.randrange(size), chance.randrange(8)
            yield Damage(name, f"flip {at}", lambda p=path, a=at, b=bit: flip(p, a, b), names)
            yield Damage(name, "cut", lambda p=path, s=size: os.truncate(p, s // 2), names)
        yield Damage(name, "remove", lambda p=path: p.unlink(), names)
        twin = other and other / name
        if twin and twin.is_file() and twin.read_bytes() != path.read_bytes():
            yield Damage(name, OTHER_RUNS, lambda p=path, t=twin: shutil.copy2(t, p), names)
    for one, two in neighbours(root):
        if one.is_dir() or one.read_bytes() != two.read_bytes():
            what = f"{one.relative_to(root)} <-> {two.relative_to(root)}"
            names = (*names_of(one), *names_of(two))
            yield Damage(what, "swap", lambda a=one, b=two: swap(a, b), names)
    for path in sorted(p for p in root.rglob("*") if p.is_dir()):
        name = path.relative_to(root).as_posix()
        yield Damage(f"{name}/", "remove", lambda p=path: shutil.rmtree(p), names_of(path))
        place_it = lambda p=path: file_for_folder(p)  # noqa: E731
        yield Damage(f"{name}/", f"a file {IN_ITS_PLACE}", place_it, names_of(path), path)
        twin = other and other / name
        if twin and twin.is_dir():
            yield Damage(f"{name}/", OTHER_RUNS, lambda p=path, t=twin: put(t, p), names_of(path))


def names_of(path: Path) -> tuple[str, ...]:
    """By these a message may name it: itself, or a folder that holds it and little else."""
    return (path.name, path.stem, path.parent.name)


def neighbours(root: Path) -> Iterator[tuple[Path, Path]]:
    """Files beside each other with one ending, and what lies alike below other folders."""
    every = sorted(path for path in root.rglob("*") if not path.name.startswith("events"))
    for _, group in itertools.groupby(every, key=lambda path: path.parent):
        paths = list(group)
        for kind in {path.suffix for path in paths}:
            alike = [path for path in paths if path.suffix == kind]
            yield from itertools.pairwise([path for path in alike if path.is_file()])
            yield from itertools.pairwise([path for path in alike if path.is_dir()])
    for path in every:
        # The same place below the folder beside one of its own: another base model, another key.
        for depth, folder in enumerate(path.relative_to(root).parents[:-1], start=1):
            home = root / folder
            beside = sorted(p for p in home.parent.iterdir() if p.is_dir() and p > home)
            rest = Path(*path.parts[-depth:])
            yield from ((path, b / rest) for b in beside if same_kind(path, b / rest))


def same_kind(one: Path, two: Path) -> bool:
    return (one.is_file() and two.is_file()) or (one.is_dir() and two.is_dir())


def flip(path: Path, at: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)


def folder_for_file(path: Path, inside: tuple[str, ...]) -> None:
    path.unlink()
    path.mkdir()
    for name in inside:
        (path / name).write_text(OWN)


def file_for_folder(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text(OWN)


def move(path: Path, target: Path) -> None:
    remove(target)
    path.rename(target)


def is_lost(damage: Damage, work: Path) -> bool:
    """Whether what a user had put in the place is gone: it may have been moved, by its bytes."""
    if not damage.kind.endswith(IN_ITS_PLACE) or "empty" in damage.kind:
        return False
    size = len(OWN)
    files = (path for path in work.rglob("*") if path.is_file())
    return not any(path.stat().st_size == size and path.read_text() == OWN for path in files)


def swap(one: Path, two: Path) -> None:
    between = one.with_name(f"{one.name}.between")
    one.rename(between)
    two.rename(one)
    between.rename(two)


def put(source: Path, target: Path) -> None:
    shutil.rmtree(target)
    shutil.copytree(source, target)


def outcome(
    command: Callable[[], Any], expected: Any, observe: Callable[[Any], Any], names: tuple[str, ...]
) -> tuple[str, str]:
    """What a command makes of a damage, in a word, and more of it where that is a finding."""
    with silence() as said:
        try:
            got = observe(command())
        except EnstackError as error:
            named = any(name in str(error) for name in names)
            return ("refused", str(error)) if named else ("REFUSED, NOT NAMED", str(error))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            if isinstance(error, OSError) and "move it away" in f"{error.strerror}":
                place = Path(error.filename)
                named = set(place.parts) & set(names)
                return "refused" if named else "NOT NAMED", f"{error}"
            return "TRACEBACK", "".join(traceback.format_exception(error)[-2:])
    if got != expected:
        differs = [key for key in {**got, **expected} if got.get(key) != expected.get(key)]
        told = [line for line in said.getvalue().splitlines() if "⚠️" in line]
        if any(name in line for line in told for name in names):
            return "TOLD, OTHER RESULTS", f"{differs}: {told}"
        return "SILENT", f"{differs} differ"
    warned = any("⚠️" in line for line in said.getvalue().splitlines())
    return ("told" if warned else "identical"), ""


Row = tuple[str, Damage, str, str, str]  # part, damage, command, word, more


def sweep_runs(
    place: Place,
    state: str,
    part: str,
    chosen: Callable[[list[Any]], list[Any]],
    chance: random.Random,
) -> Iterator[Row]:
    """Damage each file of run_dir (part: run) or local_dir (part: local), as kept in a state."""
    place.put_back("finished")
    expected = place.results()
    place.put_back(state)
    root = place.run if part == "run" else place.local
    other = place.work / "other" if part == "run" and state == "finished" else None
    for damage in chosen(list(damages(root, other, chance))):

        def fresh(damage: Damage = damage) -> None:
            place.put_back(state)
            damage.apply()

        fresh()

        for command, word, more in starts(place, damage, expected, again=part == "run"):
            yield f"{part} {state}", damage, command, word, more
        if part == "local":
            continue
        for name, command, wanted, observe in commands(place, state, expected):
            # What lies in a folder is another run's then, whole, and inspect tells of that one.
            if (name, damage.what[-1], damage.kind) == ("inspect", "/", OTHER_RUNS):
                continue
            fresh()
            word, more = outcome(command, wanted, observe, damage.names)
            yield f"{part} {state}", damage, name, word, more


def starts(
    place: Place, damage: Damage, expected: dict[str, str], *, again: bool
) -> Iterator[tuple[str, str, str]]:
    """What becomes of a damage when the run is started, and once more where there is reason to."""

    def run() -> tuple[str, str]:
        started = lambda: run_pipeline(place.config())  # noqa: E731
        return outcome(started, expected, lambda _: place.results(), damage.names)

    word, more = run()
    if is_lost(damage, place.work):
        word, more = "LOST", "the user's file is gone"
    yield "run", word, more
    if word == "refused" and damage.path is not None:
        # All of these errors advise to move it away.
        if occupied(damage.path):
            move(damage.path, place.work / "moved away")
        yield "moved away", *run()
    if again and word in ("identical", "told"):
        # What a run leaves is as good as new: it is shown, loaded and started again alike.
        word, more = run()
        if word not in ("identical", "told"):
            yield "run again", word, more


def commands(place: Place, state: str, expected: dict[str, str]) -> Iterator[Any]:
    whole = place.__dict__.setdefault("whole", {})
    if "load" not in whole:
        whole["load"] = whole_prediction(place)
    inspected = lambda verdict: {"valid": verdict.valid, "position": str(verdict.position)}  # noqa: E731
    if state not in whole:
        place.put_back(state)
        whole[state] = inspected(enstack.inspect(place.run))
    yield (
        "inspect",
        lambda: enstack.inspect(place.run),
        whole[state],
        told_problems(inspected, whole[state]),
    )
    if state == "finished":
        page = {name: one for name, one in expected.items() if name.startswith("report/")}
        yield "report", lambda: enstack.report(place.run), page, lambda _: place.page()
        predict = lambda: enstack.load(place.run).predict_proba(FUNCTIONS)  # noqa: E731
        yield "load", predict, whole["load"], lambda p: {"probabilities": p.tobytes().hex()}


def told_problems(inspected: Any, whole: Any) -> Any:
    """A verdict that names a problem, or notes what is gone beside results that stand, told it."""

    def observe(verdict: Any) -> Any:
        if verdict.problems or any("is gone or damaged" in note for note in verdict.notes):
            return whole
        return inspected(verdict)

    return observe


def whole_prediction(place: Place) -> dict[str, str]:
    place.put_back("finished")
    with silence():
        return {"probabilities": enstack.load(place.run).predict_proba(FUNCTIONS).tobytes().hex()}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.sweeps.damage", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("parts", nargs="*", default=["finished", "unfinished", "local"])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--every", type=int, default=1, help="try one damage of so many")
    parser.add_argument("--only", default="", help="damages of files whose place holds this")
    parser.add_argument("--kind", default="", help="damages of a kind whose name holds this")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    chance = random.Random(asked.seed)
    begun = time.monotonic()

    def chosen(every: list[Damage]) -> list[Damage]:
        picked = [d for d in every if asked.only in d.what and asked.kind in d.kind]
        return picked[chance.randrange(asked.every) :: asked.every]

    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="enstack-damage-") as name:
        place = Place(Path(name) / "work", Path(name) / "kept")
        prepare(place)
        print(f"seed {asked.seed}, prepared in {time.monotonic() - begun:.0f} s", flush=True)
        sweeps = {
            "finished": [("finished", "run")],
            "unfinished": [("unfinished", "run")],
            "local": [("unfinished", "local")],
        }
        for part in asked.parts:
            for state, root in sweeps[part]:
                for row in sweep_runs(place, state, root, chosen, chance):
                    rows.append(row)
                    if row[3].isupper():
                        _, damage, command, word, more = row
                        print(
                            f"{word}: {row[0]}, {damage.what} ({damage.kind}), {command}: {more}",
                            flush=True,
                        )
    print(table(rows))
    findings = sum(row[3].isupper() for row in rows)
    n_damages = len({(row[0], row[1].what, row[1].kind) for row in rows})
    seconds = time.monotonic() - begun
    print(f"{n_damages} damages, {len(rows)} commands, {findings} findings, {seconds:.0f} s")
    return 1 if findings else 0


def table(rows: list[Row]) -> str:
    """How often each command ended how, by part."""
    counts = Counter((part, command, word) for part, _, command, word, _ in rows)
    lines = [
        f"{part:16} {command:10} {word:20} {n:5}"
        for (part, command, word), n in sorted(counts.items())
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
