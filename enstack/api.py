"""What a script imports: each command of the command line as one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Each call imports what it needs itself, so that `import enstack` takes no time.
if TYPE_CHECKING:
    from enstack.auditing.content import Audit
    from enstack.bundle import TrainedModel
    from enstack.checkpoints.inspection_text import Verdict
    from enstack.config import RunConfig
    from enstack.pipeline import RunResults


def configure(**fields: Any) -> RunConfig:
    """Check settings, print what was set, and return the configuration of a run.

    fields: the keys of RunConfig, in upper case as in the notebook's form or in lower case. Raises
    ConfigError, which lists every fault.
    """
    from enstack.config import configure as checked

    return checked(**fields)


def run(config: RunConfig, *, announce: bool = False) -> RunResults:
    """The whole pipeline: data, base models, stacks, report; the same call again goes on.

    announce: print the settings, once nothing speaks against them. In a notebook a panel shows how
    things stand. The results have `.leaderboard` (a DataFrame, best row first), `.report` (the
    page) and `.run_dir`.
    """
    from enstack.pipeline import require_configuration, run_pipeline
    from enstack.progress.panel import notebook_panel

    require_configuration(config)  # a panel for a run that can't begin would only confuse
    with notebook_panel():
        return run_pipeline(config, announce=announce)


def load(run_dir: str | Path, name: str | None = None) -> TrainedModel:
    """What a finished run has trained, for new functions: `.predict_proba`, `.predict`.

    name: a stack ("lr"), a base model's name, or "vote"; by default what did best by
    cross-validation on the functions that stacks are fitted on. Raises CheckpointError for a run
    that is unfinished or damaged.
    """
    from enstack.bundle import load as load_run
    from enstack.config.names import home_expanded

    return load_run(home_expanded(run_dir), name)


def inspect(path: str | Path) -> Verdict:
    """Whether a checkpoint or run folder is whole, and from where training will go on.

    Reads only. `.valid`, `.problems`, `.to_json()`. Raises CheckpointError for a folder without any
    checkpoint.
    """
    from enstack.checkpoints.inspection import inspect_path
    from enstack.config.names import home_expanded

    return inspect_path(home_expanded(path))


def audit(folder: str | Path, *, tokenizers: Sequence[str] = (), **settings: Any) -> Audit:
    """What is in a folder of data, or in "toy": classes, lengths, duplicates, what words tell.

    tokenizers: base models whose tokens are counted. settings: such as label_mode (here by default
    cwe_or_clean, which leaves no function out), max_length, local_dir. Raises DataError for data
    that can't be used.
    """
    from enstack.auditing.measures import audit as measure
    from enstack.config import RunConfig

    if "label_mode" not in map(str.lower, settings):
        settings["label_mode"] = "cwe_or_clean"
    names = tokenizers.split(",") if isinstance(tokenizers, str) else tokenizers
    return measure(RunConfig(data_dir=str(folder), **settings), [name.strip() for name in names])


def report(run_dir: str | Path) -> Path:
    """Write a run's report again from what is stored, and return its page.

    Raises CheckpointError where something that it shows is missing or damaged.
    """
    from enstack.config.names import home_expanded
    from enstack.reporting.stage import rewrite_report

    return rewrite_report(home_expanded(run_dir))
