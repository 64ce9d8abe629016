"""All that follows the base models, at the size of Draper VDISC: `enstack bench stacking`.

Probabilities of three made-up base models about 130,000 test functions and as many that validate,
in six classes, with near-duplicates: the choice among all candidates, the stacks, the leaderboard,
the verdict, the report's figures; and Flawfinder asked about made-up functions, whose seconds grow
with their number. The peer is the bootstrap as it is mostly written: rows drawn one by one, and
scikit-learn asked for each resample; it is timed on a few resamples, ours on all.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from benchmarks import machine, targets
from enstack.data.functions import read_data
from enstack.metrics.one_class import OneClass
from enstack.reporting.leaderboard import LeaderboardRow
from enstack.reporting.measuring import evaluate_row
from enstack.reporting.stored_run import Contamination, StoredRun
from enstack.run_folder import RunFolder
from enstack.stacking.calibration import calibrate
from enstack.stacking.candidates import fit_candidate, members_of, shown
from enstack.stacking.flawfinder import risk_levels
from enstack.stacking.meta_features import BaseModelProbabilities
from enstack.stacking.primary_measure import primary_measure
from enstack.stacking.ranking import leaderboard
from enstack.stacking.selection import select_model
from enstack.stacking.verdict import Declared, Judged, judge
from enstack.statistics.bootstrap import N_RESAMPLES, intervals
from enstack.toy.functions import write_toy_data

TASK = OneClass(("CWE-119", "CWE-120", "CWE-469", "CWE-476", "CWE-other", "clean"))
SHARES = np.array([0.019, 0.037, 0.002, 0.009, 0.027, 0.906])
META_CLASSIFIERS = ["lr", "svm", "rf", "xgboost"]
WORDS = "baseline:tfidf_lr"
N_TEST = 130_000
N_META = 65_000  # half of validation: the other half selects the base models' epochs
N_TEXTS = 8_000  # functions that Flawfinder is asked about
PEER_RESAMPLES = 10
LIMIT_SECONDS, LIMIT_GIB = 600, 3.0

Drawn = tuple[np.ndarray, list[BaseModelProbabilities]]


def draw(n: int, seed: int) -> Drawn:
    """Labels (n,) and what three models say, that share most of their mistakes."""
    random = np.random.RandomState(seed)
    labels = random.choice(len(SHARES), size=n, p=SHARES)
    common, ids = random.normal(size=(n, len(SHARES))), np.array([f"f/{row}" for row in range(n)])
    return labels, [_model(number, labels, common, ids, random) for number in range(3)]


def _model(
    number: int,
    labels: np.ndarray,
    common: np.ndarray,
    ids: np.ndarray,
    random: np.random.RandomState,
) -> BaseModelProbabilities:
    scores = 0.8 * common + random.normal(size=common.shape) + 0.7 * np.log(SHARES)
    scores[np.arange(len(labels)), labels] += 2.2 + 0.2 * number
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    given = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return BaseModelProbabilities(f"m{number}", ids, given, np.zeros(len(ids), bool))


def time_stages(n_test: int, n_meta: int) -> dict[str, float]:
    """Seconds of each stage."""
    seconds: dict[str, float] = {}
    (meta_labels, meta), (labels, test) = draw(n_meta, 1), draw(n_test, 2)
    measure = primary_measure(TASK, labels, "macro_f1")
    with _timed(seconds, "choosing among all candidates"):
        chosen = select_model(
            meta,
            meta_labels,
            META_CLASSIFIERS,
            measure,
            baselines={WORDS: meta[0].probabilities},
            seed=42,
        )
    said = {f"base:{one.name}": one.probabilities for one in test}
    said[WORDS] = test[0].probabilities
    with _timed(seconds, "fitting what is shown"):
        for one in shown([model.name for model in meta], META_CLASSIFIERS, chosen.combination):
            fitted = fit_candidate(
                one, meta, meta_labels, TASK, seed=42, score=measure.of_probabilities
            )
            said[one.key] = fitted.predict_proba(members_of(test, fitted.base_models), TASK)
    clusters = np.random.RandomState(5).randint(n_test * 11 // 13, size=n_test)
    with _timed(seconds, "leaderboard with its intervals"):
        leaderboard(labels, said, TASK, dict.fromkeys(said), clusters=clusters, seed=42)
    with _timed(seconds, "verdict"):
        decisions = {key: TASK.decide(given, None) for key, given in said.items()}
        near = np.random.RandomState(6).random_sample(n_test) < 0.06
        judge(Declared(**chosen.comparison), Judged(TASK, labels, decisions, clusters, near))
    with _timed(seconds, "calibration, and the report's figures of every row"):
        calibration = {key: calibrate(labels, given, TASK, clusters) for key, given in said.items()}
        stored = made_up_run(labels, said, calibration)
        for row in stored.rows:
            evaluate_row(stored, row)
    return seconds


def made_up_run(
    labels: np.ndarray, said: Mapping[str, np.ndarray], calibration: dict[str, dict[str, Any]]
) -> StoredRun:
    """What a report reads of a run, without the run."""
    figures = dict.fromkeys(LeaderboardRow.__dataclass_fields__, 0.0)
    rows = [
        LeaderboardRow(
            **{**figures, "key": key, "kind": "stack", "name": key, "title": key, "n": len(labels)}
        )
        for key in said
    ]
    near = Contamination(0.0, np.zeros(len(labels), bool))
    nowhere = RunFolder(Path("nowhere"))
    return StoredRun(nowhere, TASK, {}, {}, rows, labels, dict(said), {}, near, calibration, None)


def flawfinder_seconds(n_texts: int, n_test: int) -> float:
    """Seconds for all test functions, from those of some."""
    with tempfile.TemporaryDirectory() as name:
        sizes = {"train": n_texts, "validation": 60, "test": 60}
        data = read_data(write_toy_data(Path(name) / "data", sizes=sizes), label_mode="binary")
        started = time.perf_counter()
        risk_levels([data.splits["train"]], Path(name))
        return (time.perf_counter() - started) * n_test / n_texts


def bootstrap_seconds(n_test: int, peer_resamples: int) -> tuple[float, float]:
    """Seconds of a run's intervals of one model, and of rows drawn one by one."""
    labels, models = draw(n_test, 2)
    said = models[0].probabilities.argmax(axis=1)
    started = time.perf_counter()
    intervals(labels, {"m": said}, TASK, seed=0)
    ours = time.perf_counter() - started
    random, started = np.random.RandomState(0), time.perf_counter()
    for _ in range(peer_resamples):
        rows = random.randint(n_test, size=n_test)
        f1_score(labels[rows], said[rows], average="macro")
    return ours, (time.perf_counter() - started) * N_RESAMPLES / peer_resamples


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - started


def measure(
    *,
    n_test: int = N_TEST,
    n_meta: int = N_META,
    n_texts: int = N_TEXTS,
    peer_resamples: int = PEER_RESAMPLES,
) -> dict[str, Any]:
    """All figures, as plain values."""
    stages = time_stages(n_test, n_meta)
    stages["Flawfinder"] = flawfinder_seconds(n_texts, n_test)
    ours, theirs = bootstrap_seconds(n_test, peer_resamples)
    total = sum(stages.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "benchmark": "stacking",
        "machine": machine.facts(),
        "functions": n_test,
        "seconds": stages,
        "total": total,
        "peak_gib": peak,
        "bootstrap": {"enstack": ours, "rows drawn one by one, scikit-learn": theirs},
        "targets": [
            targets.at_most("seconds of all of it", total, LIMIT_SECONDS),
            targets.at_most("GiB of memory at the peak", peak, LIMIT_GIB),
            targets.at_least("speed of the bootstrap over rows drawn one by one", theirs / ours, 1),
        ],
    }


def table(results: dict[str, Any]) -> str:
    """The figures for a reader."""
    lines = [machine.line(results["machine"]), "", f"{results['functions']:,} test functions"]
    lines += [f"{stage:52}{seconds:8.1f} s" for stage, seconds in results["seconds"].items()]
    lines += [f"{'in all':52}{results['total']:8.1f} s, peak {results['peak_gib']:.2f} GiB", ""]
    lines += [
        f"{N_RESAMPLES} resamples, {name:36}{seconds:9.2f} s"
        for name, seconds in results["bootstrap"].items()
    ]
    return "\n".join([*lines, "", *map(targets.line, results["targets"])])


def main() -> None:
    """Measure and print."""
    print(table(measure()))


if __name__ == "__main__":
    main()
