"""What a script does with what was trained: load it, pass it on, judge code with it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from enstack.errors import ConfigError
from enstack.paths import named_folder

# Each call imports what it needs itself, so that `import enstack` takes no time.
if TYPE_CHECKING:
    from enstack.bundle import TrainedModel
    from enstack.scanning.scan import Scan

__all__ = ["export", "load", "push", "scan"]


def load(place: str | Path, name: str | None = None) -> TrainedModel:
    """What a finished run has trained, for new functions: `.predict_proba`, `.predict`.

    place: the run folder, a bundle that was exported of it, or a bundle's id on the hub. name: a
    stack ("lr"), a base model's name, "vote", or "tfidf_lr", the counted words; by default what did
    best by cross-validation on the functions that stacks are fitted on, these words aside. Raises
    CheckpointError for a run that is unfinished, and for what is damaged.
    """
    from enstack.bundle import load as load_model
    from enstack.bundle.hub import model_place

    return load_model(model_place(place, named_folder(place)), name)


def export(
    run_dir: str | Path,
    to: str | Path,
    *,
    name: str | None = None,
    int8: bool = False,
    local_dir: str | Path | None = None,
) -> Path:
    """Write a finished run's model into one folder that `load` and `scan` take, and return it.

    to: a new or empty folder, or an earlier bundle, which is replaced. name: which of the run's
    models, as `load` takes it. int8: have it predict so on CPUs with VNNI instructions, if on
    validation that changes at most one label of 1,000; else a line says why not. The folder has a
    model card, and nothing of the run's functions but sketches. local_dir: the scratch disk, as in
    a run. Raises ConfigError for another folder, CheckpointError for a run that is unfinished or
    damaged.
    """
    from enstack.bundle import export_run
    from enstack.inputs import scratch_disk
    from enstack.storage.caches import holding_caches

    with holding_caches():
        place, cache_dir = named_folder(to), scratch_disk(local_dir)
        return export_run(named_folder(run_dir), place, name, cache_dir=cache_dir, int8=int8)


def push(
    place: str | Path,
    hub_id: str,
    *,
    name: str | None = None,
    public: bool = False,
    local_dir: str | Path | None = None,
) -> str:
    """Push a bundle to the Hugging Face hub, with the token that is there, and return its page.

    place: a bundle, or a finished run, of which one is made for it; name, local_dir: as in
    `export`. public: of a repository that is new; without it only you see it. Raises ConfigError
    without a token, and for a repository that holds something else.
    """
    from enstack.bundle.folder import is_bundle
    from enstack.bundle.hub import push_bundle

    folder = named_folder(place)
    if is_bundle(folder):
        return push_bundle(folder, hub_id, public=public)
    with tempfile.TemporaryDirectory() as beside:
        made = export(folder, Path(beside) / "bundle", name=name, local_dir=local_dir)
        return push_bundle(made, hub_id, public=public)


def scan(
    paths: str | Path | Sequence[str | Path],
    model: str | Path | None = None,
    *,
    name: str | None = None,
    local_dir: str | Path | None = None,
    baseline: str | Path | None = None,
    diff: str | None = None,
    budget: int | None = None,
) -> Scan:
    """Judge the functions of C and C++ files, of what lies below folders, or of `-`.

    model: a run folder, bundle or hub id, and name: which of a run's models, as `load` takes them;
    without a model the toy model of this package judges, whose findings mean nothing.
    local_dir: the scratch disk, where scores are kept by content: what has not changed is not
    judged again. baseline: an earlier scan's JSON or SARIF file; diff: a git revision: findings
    that either knows are marked. budget: how many findings that are not are shown at most, at least
    1. The result has `.findings`, worst first, and `.functions`. Raises DataError for a path that
    is not there, CheckpointError for a model that is unfinished or damaged.
    """
    from enstack.bundle.hub import model_place
    from enstack.bundle.opening import open_model
    from enstack.bundle.sample import toy_model
    from enstack.inputs import scratch_disk
    from enstack.scanning.baseline import read_baseline
    from enstack.scanning.known import Known
    from enstack.scanning.revision import read_revision
    from enstack.scanning.scan import scan_paths
    from enstack.several_processes import in_processes
    from enstack.storage.caches import holding_caches

    cache_dir = scratch_disk(local_dir)
    listed = [paths] if isinstance(paths, str | Path) else list(paths)
    if budget is not None and (type(budget) is not int or budget < 1):
        raise ConfigError(f"The budget must be a whole number from 1 on, found {budget!r:.40}.")
    named = [Path(path) for path in listed]
    known = Known(
        None if baseline is None else read_baseline(Path(baseline), named),
        None if diff is None else read_revision(diff, named),
    )
    with in_processes(), holding_caches():
        place = toy_model() if model is None else model_place(model, named_folder(model))
        opened = open_model(place, name, cache_dir=cache_dir)
        return scan_paths(listed, opened, cache_dir=cache_dir, known=known, budget=budget)
