"""Bundles that are spoilt in every way: none is used unsaid, none crashes, none reaches outside.

python -m tests.sweeps.bundles [--minutes M] [--seed SEED]

Whole bundles of four kinds are cut, grown, swapped, linked and changed, half of them with digests
that fit what they hold then, as of somebody who means harm. Each is loaded, asked, and scanned with
in a process of its own with little memory: it must be refused in words, or answer with
probabilities; and one whose digests do not fit must be refused. Prints a table, and each finding
with its damage; exits with 1 where there is any.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")

import numpy as np
import torch

import enstack
from enstack.bundle.sample import SAMPLE
from enstack.config import RunConfig
from enstack.data.functions import read_data
from enstack.errors import EnstackError
from enstack.pipeline import run_pipeline
from enstack.progress.quiet import quietly
from enstack.scanning.outputs import FORMATS, scan_as
from enstack.toy.tiny_models import write_encoder
from tests.support.micro import MICRO, write_micro_data
from tests.support.spoilt_bundles import DAMAGES, SEALED, Place, content_of, sealed

MINUTES, SECONDS, MEMORY = 20.0, 60, 2 << 30
CODE = "int first(char *s)\n{\n    char b[8];\n    strcpy(b, s);\n    return b[0];\n}\n\n" * 2
REFUSED, SAME, OTHER = "refused", "same answers", "other answers"
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def make_bundles(folder: Path) -> None:
    """A stack of two encoders, a vote, boosted trees, flags, and counted words."""
    data = write_micro_data(folder / "data")
    sources = read_data(data, label_mode="cwe_or_clean").splits["train"].sources.to_pylist()
    encoders = [folder / name for name in ("micro", "other")]
    for seed, place in enumerate(encoders):
        write_encoder(place, MICRO, sources, seed=seed)
    local = str(folder / "local")
    common: dict[str, Any] = {
        "data_dir": str(data), "base_models": list(map(str, encoders)), "epochs": 1,
        "batch_size": 4, "max_length": 32, "save_steps": 0, "precision": "fp32",
        "local_dir": local, "meta_classifiers": ["lr", "xgboost"],
    }  # fmt: skip
    classes, flags = str(folder / "classes"), str(folder / "flags")
    run_pipeline(RunConfig(**common, label_mode="cwe_or_clean", run_dir=classes))
    run_pipeline(RunConfig(**common, label_mode="multilabel", run_dir=flags))
    bundles = folder / "bundles"
    bundles.mkdir()
    for name in ("lr", "vote", "xgboost"):
        enstack.export(classes, bundles / name, name=name, local_dir=local)
    enstack.export(flags, bundles / "flags", name="lr", local_dir=local)
    shutil.copytree(SAMPLE, bundles / "words")


def in_a_process(work: Callable[[], Any], seconds: int = SECONDS) -> Any:
    """What a function gives in a forked process, as JSON has it, or how that ended."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        try:
            _answer(work, writing, seconds)
        finally:
            os._exit(0)  # whatever happens: what the parent has open is not the child's to close
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if answer:
        return json.loads(answer)
    ended = signal.Signals(status & 127).name if status & 127 else f"status {status >> 8}"
    return {"finding": f"the process ended by {ended}"}


def _answer(work: Callable[[], Any], pipe: int, seconds: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    signal.alarm(seconds)  # which ends the process
    try:
        answer = json.dumps(work())
    except BaseException:
        answer = json.dumps({"finding": traceback.format_exc()})
    with os.fdopen(pipe, "w") as file:
        file.write(answer)


def asked(bundle: Path, scratch: Path, code: Path) -> dict[str, Any]:
    """What a bundle says, by each road; or the words in which it was refused."""
    try:
        model = enstack.load(bundle)
        said = np.asarray(model.predict_proba([CODE, CODE[:40]]), dtype=np.float64)
        if said.shape != (2, len(model.class_names)) or not ((said >= 0) & (said <= 1)).all():
            return {"finding": f"probabilities must lie in 0 to 1, found {said.tolist()}"}
        found = enstack.scan(code, bundle, local_dir=scratch)
        for form in FORMATS:
            text = scan_as(found, form)
            if form in ("json", "sarif"):
                json.loads(text, parse_constant=_refuse_constant)
    except EnstackError as error:
        return {"refused": str(error)}
    return {"said": said.round(5).tolist()}


def watched(bundle: Path, scratch: Path, code: Path) -> dict[str, Any]:
    """The same with little memory, and where nothing may be written but into a scratch disk."""
    _watch(scratch)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    return asked(bundle, scratch, code)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"no JSON: {name}")


def _watch(scratch: Path) -> None:
    """Raise where anything is written outside of the scratch disk, started, or unpickled."""
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in ("pickle.find_class", "os.system", "subprocess.Popen", "socket.connect"):
            raise PermissionError(f"{event} {args!r:.200}")
        writes = event == "open" and isinstance(args[0], str) and (args[2] or 0) & WRITING
        if writes and not args[0].startswith((str(scratch), "/dev/", "/proc/")):
            raise PermissionError(f"opened for writing: {args[0]}")

    sys.addaudithook(hook)


def one_trial(
    bundles: list[Path], folder: Path, chance: random.Random, wholes: dict[str, Any]
) -> tuple[str, str, str]:
    """A bundle spoilt and asked: how, what came of it, and what is wrong with that."""
    source, other = chance.choice(bundles), chance.choice(bundles)
    place = Place(folder / "bundle", other, folder / "outside")
    shutil.copytree(source, place.bundle)
    for name in ("outside", "scratch"):
        (folder / name).mkdir()
    (place.outside / "note.txt").write_text("mine\n")
    code = folder / "code.c"
    code.write_text(CODE)
    fits = chance.random() < 0.5
    damage = chance.choice(SEALED if fits else DAMAGES)
    how = f"{damage.__name__}{', sealed' if fits else ''}"
    try:
        damage(place, chance)
    except (IndexError, ValueError):  # no such file in this bundle, or no text that can be written
        return how, "none", ""
    if fits and (place.bundle / "manifest.json").is_file() and damage.__name__ != "other_manifest":
        try:
            sealed(place.bundle)
        except (OSError, ValueError):
            return how, "none", ""
    unchanged = content_of(place.bundle) == content_of(source)
    before = content_of(place.outside)
    answer = in_a_process(lambda: watched(place.bundle, folder / "scratch", code))
    if before != content_of(place.outside) or len(list(folder.iterdir())) != 4:
        return how, "finding", f"{source.name}: something was written outside"
    if "finding" in answer:
        return how, "finding", f"{source.name}: {answer['finding']}"
    if "refused" in answer:
        return how, REFUSED, ""
    same = answer == wholes[source.name]
    if not fits and not unchanged:
        return how, "finding", f"{source.name}: what had changed was used"
    return how, SAME if same else OTHER, ""


def sweep(minutes: float, seed: int, folder: Path) -> int:
    made = in_a_process(lambda: make_bundles(folder), 10 * SECONDS)
    if made:
        raise RuntimeError(made["finding"])
    bundles = sorted((folder / "bundles").iterdir())
    (folder / "code.c").write_text(CODE)
    # In this process, so that no child has to import what it asks with.
    with quietly():
        wholes = {one.name: asked(one, folder / "local", folder / "code.c") for one in bundles}
    chance, tried, found = random.Random(seed), Counter[tuple[str, str]](), Counter[str]()
    print(f"seed {seed}; {', '.join(wholes)}", flush=True)
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory(dir=folder) as trial:
            how, came, finding = one_trial(bundles, Path(trial), chance, wholes)
        tried[how, came] += 1
        if finding:
            last = finding.strip().splitlines()[-1][:150]
            found[last] += 1
            if found[last] == 1:
                print(f"{how}: {finding.strip()[-1500:]}\n", flush=True)
    outcomes = (REFUSED, SAME, OTHER, "finding")
    print(f"{'':26}" + "".join(f"{name:>15}" for name in outcomes))
    for how in sorted({how for how, _ in tried}):
        print(f"{how:26}" + "".join(f"{tried[how, name]:15,}" for name in outcomes))
    n_tried = sum(count for (_, came), count in tried.items() if came in outcomes)
    print(f"{n_tried:,} bundles, {found.total()} findings")
    return int(found.total() > 0)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.sweeps.bundles", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"{MINUTES:g} if left out")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked_for = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="enstack-bundles-") as name:
        return sweep(asked_for.minutes, asked_for.seed, Path(name))


if __name__ == "__main__":
    sys.exit(main())
