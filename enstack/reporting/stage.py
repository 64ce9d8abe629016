"""The stage of the report: written where what it is made of has changed, or on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from enstack.errors import CheckpointError
from enstack.progress.say import say
from enstack.reporting.content import REPORT_EDITION
from enstack.reporting.page import write_report
from enstack.reporting.verdict import read_verdict, verdict_text
from enstack.run_folder import RunFolder
from enstack.run_place import WRITTEN_INTO
from enstack.storage.links import require_no_links
from enstack.storage.manifest import MANIFEST, is_current, write_manifest
from enstack.verify_run import require_as_reported, require_stacked


def report_stage(run: RunFolder) -> None:
    """Leave a report of a run, or say that it stands."""
    if is_current(run.report, _inputs(run)):
        say("✓ report: finished before, skipped")
        return
    _write(run)
    run.log("report_finished")


def rewrite_report(run_dir: Path) -> Path:
    """Write a run's report again from what is stored, and say its verdict; returns the page.

    Raises CheckpointError where that is not what was reported on: a new report would seal it.
    """
    run = RunFolder(run_dir)
    if not (run.config_file.exists() or run.stacking.path.exists()):
        raise CheckpointError(
            f"A report is of a run, and {run.path} holds none: no {run.config_file.name}, no "
            f"{run.stacking.path.name}. Name a run folder."
        )
    require_no_links(run.path, WRITTEN_INTO, "run_dir", CheckpointError)
    if (run.report / MANIFEST).exists():
        require_as_reported(run)
    else:
        require_stacked(run)
    for seed in run.other_seeds().values():  # their figures and verdicts are shown beside its own
        require_stacked(seed)
    page = _write(run)
    if verdict := read_verdict(run.stacking.verdict):
        say(verdict_text(verdict))
    return page


def _write(run: RunFolder) -> Path:
    write_report(run.path)
    # The settings, so that one which is changed by hand can be named.
    write_manifest(run.report, made_from=_inputs(run), settings=run.settings())
    return run.report_page


def _inputs(run: RunFolder) -> dict[str, Any]:
    # With the edition, so that finished runs get what a newer page shows.
    return {**run.report_inputs(), "edition": REPORT_EDITION}
