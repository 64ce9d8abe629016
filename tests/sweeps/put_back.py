"""Test functions put back into C and C++ files: a scan says of each what the model said of it.

python -m tests.sweeps.put_back RUN [--model NAME] [--seed SEED] [--show N]

RUN: a finished run whose data is where it was. Its test functions, which start at their names, get
return types, `static` and attributes, comments and neighbours around them, some files another line
end, and where training data has no comments, comments and blank lines within. A verdict is the set
of classes that are alerted. Prints how many are the same and why the rest is not; exits with 1
where a function is lost or has another text or other probabilities, or under 90 % are the same.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from enstack.bundle.opening import OpenedModel, open_model
from enstack.bundle.trained_model import TrainedModel
from enstack.config import RunConfig
from enstack.inputs import data_of
from enstack.progress.quiet import quietly
from enstack.run_folder import RunFolder
from enstack.scanning.findings import ScannedFunction
from enstack.scanning.scan import Scan, scan_paths
from tests.support.c_sources import NEIGHBOURS

ENOUGH = 0.9
SAME_PROBABILITY = 1e-5  # texts of other lengths beside one move the last digits
IN_A_FILE = 12
BEFORE = (
    "void ",
    "static void ",
    "static inline unsigned long\n",
    "struct point *",
    "__attribute__((noinline)) static int ",
    "static const char *const *\n",
    "EXPORT(int) CALL ",
    "DEFINE_IT(a)\nstatic int ",
)
REMARKS = ("/* see the manual */", "// not { done } yet", "/* a\n   longer\n   one */", "")
CPLUSPLUS = re.compile(r"\b(?:new|delete|std|throw|catch|const_cast|static_cast)\b|::")
SAME, LOST, OTHER_TEXT = "the same", "no function was found there", "its text was another"
LATER_WINDOW, MOVED = "a later window is more alarming", "its probabilities moved"
EXPLAINED = {SAME, LATER_WINDOW}

Stored = dict[tuple[str, int], int]


def put_back(texts: list[str], folder: Path, chance: random.Random, within: bool) -> Stored:
    """Write files that hold all functions; by file name and line of its name, each one's place.

    within: whether comments and blank lines are put into them too.
    """
    stored: Stored = {}
    languages = defaultdict(list)
    for place, text in enumerate(texts):
        languages["cpp" if CPLUSPLUS.search(text) else "c"].append(place)
    for suffix, places in languages.items():
        for first in range(0, len(places), IN_A_FILE):
            name, written = f"file{first // IN_A_FILE}.{suffix}", "#include <stdio.h>\n"
            for place in places[first : first + IN_A_FILE]:
                written += chance.choice(NEIGHBOURS)[0] + "\n" + chance.choice(REMARKS) + "\n"
                written += chance.choice(BEFORE)
                stored[name, 1 + written.count("\n")] = place
                written += commented(texts[place], chance) if within else texts[place]
                written += chance.choice(("\n", "\n\n", "  // the end\n"))
            ends = chance.choice(("\n", "\n", "\r\n"))
            (folder / name).write_text(written, encoding="utf-8", newline=ends)
    return stored


def commented(text: str, chance: random.Random) -> str:
    """A function with remarks before and behind some of its lines."""
    lines = text.split("\n")
    for at in range(1, len(lines)):
        if lines[at - 1].endswith("\\") or chance.random() > 0.3:
            continue
        if chance.random() < 0.5:
            lines[at - 1] += f"  {chance.choice(REMARKS)}"
        else:
            lines[at] = f"    {chance.choice(REMARKS)}\n{lines[at]}"
    return "\n".join(lines)


def alerted(rows: np.ndarray, opened: OpenedModel) -> list[frozenset[str]]:
    """The classes that calibrated probabilities (n, k) alert, of each."""
    names = np.array(opened.profile.class_names)
    return [frozenset(names[given].tolist()) for given in opened.profile.rule.alerts(rows)]


def outcomes(
    texts: list[str], stored: Stored, scan: Scan, opened: OpenedModel, model: TrainedModel
) -> Iterable[tuple[str, str]]:
    """Of each function, what became of its verdict, and where it stands."""
    # As a run judges its test functions, without anything of the scan's road.
    said = opened.profile.calibrated(model.predict_proba(texts))
    scores, verdicts = opened.profile.rule.scores(said), alerted(said, opened)
    found = {(one.path.name, one.start_line): one for one in scan.functions}
    findings = defaultdict(set)
    for finding in scan.findings:
        findings[id(finding.function)].add(finding.class_name)
    for (name, line), place in stored.items():
        function = found.get((name, line))
        if function is None:
            outcome = LOST
        else:
            same = findings[id(function)] == verdicts[place]
            outcome = what_became(function, same, float(scores[place]))
        yield outcome, f"{name}:{line} {texts[place].partition('(')[0]}"


def what_became(function: ScannedFunction, same: bool, score: float) -> str:
    """Whether a function's verdict is that of its stored text, with this score; or why not."""
    if abs(function.first_score - score) > SAME_PROBABILITY:
        return OTHER_TEXT
    if same:
        return SAME
    return LATER_WINDOW if function.windows > 1 else MOVED


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.sweeps.put_back", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--model", metavar="NAME", help="as enstack.load takes it")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--show", type=int, default=10, help="differences of a kind to print")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, quietly():
        run = RunFolder(asked.run)
        data = data_of(RunConfig(**{**run.settings(), "run_dir": str(run.path)}))
        texts = data.splits["test"].sources.to_pylist()
        folder = Path(name)
        opened = open_model(asked.run, asked.model, cache_dir=folder / "cache")
        files = folder / "files"
        files.mkdir()
        within = opened.profile.comments is False
        stored = put_back(texts, files, random.Random(asked.seed), within)
        scan = scan_paths([files], opened, cache_dir=None)
        told = list(outcomes(texts, stored, scan, opened, opened.load()))
    counts = Counter(outcome for outcome, _ in told)
    print(
        f"{opened.shown}, seed {asked.seed}: {len(texts):,} test functions in {scan.files} files, "
        f"{len(scan.functions):,} functions found there; comments within: {within}"
    )
    for outcome, count in counts.most_common():
        print(f"{outcome:34}{count:7,}  {count / len(texts):7.2%}")
        shown = [place for kind, place in told if kind == outcome != SAME]
        print("".join(f"    {place}\n" for place in shown[: asked.show]), end="")
    return int(not counts.keys() <= EXPLAINED or counts[SAME] < ENOUGH * len(texts))


if __name__ == "__main__":
    sys.exit(main())
