"""Each command of the command line, and its options."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enstack import api
from enstack.cli import (  # noqa: F401 - they add themselves
    bench_command,
    export_command,
    prepare_command,
    scan_command,
    status_command,
    verify_parallel_command,
)
from enstack.cli.app import app, chosen_config, is_quiet, progress
from enstack.config import RunConfig, load_config
from enstack.console import put
from enstack.errors import CheckpointError, ConfigError
from enstack.exit_status import confirmed, print_result, report_errors
from enstack.paths import named_folder
from enstack.progress.quiet import quietly
from enstack.several_processes import in_processes
from enstack.storage.json_text import json_text

if TYPE_CHECKING:
    from enstack.pipeline import RunResults

# Learnt well by the tiny models on the toy data in about a minute.
DEMO_SETTINGS: dict[str, Any] = {
    "data_dir": "toy",
    "label_mode": "cwe_or_clean",
    "epochs": 8,
    "save_steps": 20,
}


@app.command()
def demo(
    run_dir: Annotated[
        str, typer.Option(metavar="PATH", help="Where results live.")
    ] = "enstack_runs/demo",
) -> None:
    """The whole pipeline on the toy data, on the CPU, without a network."""
    with report_errors():
        _run(RunConfig(**DEMO_SETTINGS, run_dir=run_dir))


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="Settings, YAML or JSON.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings that overrule CONFIG's."),
    ] = None,
) -> None:
    """The whole pipeline; the same command again goes on where it stopped."""
    with report_errors(), in_processes():
        _run(load_config(config, settings or ()))


@app.command()
def inspect(
    path: Annotated[str, typer.Argument(help="A checkpoint, or a run folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Is it whole, what is in it, and from where will training go on? Changes nothing."""
    with report_errors():
        from enstack.checkpoints.inspection_text import Verdict, verdict_text

        try:
            verdict = api.inspect(path)
        except CheckpointError as error:
            if not as_json:
                raise
            # A program that reads JSON gets an object, whatever the path is.
            verdict = Verdict(Path(path), layout=None, problems=[str(error)])
        _print(as_json, verdict.to_json, lambda: verdict_text(verdict))
        if not verdict.valid:
            # The status of a CheckpointError.
            raise typer.Exit(4)


@app.command()
def audit(
    data: Annotated[str, typer.Argument(help='A folder with the three splits, a file, or "toy".')],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    output: Annotated[
        str | None, typer.Option(metavar="PATH", help="A folder for audit.html and audit.json.")
    ] = None,
    tokenizer: Annotated[
        list[str] | None,
        typer.Option(
            help="A base model's name, hub id or folder, to count its tokens; repeatable."
        ),
    ] = None,
    label_mode: Annotated[
        str, typer.Option(help="As in a run; auto leaves no clean function out here.")
    ] = "auto",
    split_by: Annotated[
        str, typer.Option(help="How a table without splits is divided, as in a run.")
    ] = "auto",
    layout: Annotated[str, typer.Option(help="The data set that it is, as in a run.")] = "auto",
    text_column: Annotated[str, typer.Option(help="The column of functions.")] = "auto",
    label_column: Annotated[str, typer.Option(help="The column of labels.")] = "auto",
    max_length: Annotated[int, typer.Option(help="Tokens that a model reads.")] = 512,
    local_dir: Annotated[
        str | None,
        typer.Option(help="The scratch disk, as in a run; ~/.cache/enstack if left out."),
    ] = None,
) -> None:
    """What is in the data: classes, lengths, duplicates, contradictions, what word counts tell."""
    with report_errors():
        page = None if output is None else named_folder(output)
        if page is not None:
            from enstack.auditing.page import require_place, write_audit

            # Before the audit, which takes minutes on large data.
            require_place(page)
        from enstack.auditing.table import audit_text

        # Progress is no result.
        with progress():
            audited = api.audit(
                data,
                tokenizers=tokenizer or (),
                label_mode=label_mode,
                split_by=split_by,
                layout=layout,
                text_column=text_column,
                label_column=label_column,
                max_length=max_length,
                **({} if local_dir is None else {"local_dir": local_dir}),
            )
        if page is not None:
            # Standard output holds the result alone, with --json one object.
            put(str(write_audit(page, audited)), sys.stderr)
        _print(as_json, audited.to_json, lambda: audit_text(audited))


@app.command()
def verify_resume(
    config: Annotated[
        Path | None, typer.Argument(help="Settings, YAML or JSON; the demo's if left out.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Settings that overrule CONFIG's."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Chooses the instants of interruption.")] = None,
) -> None:
    """Train a small model unbroken and interrupted, and hold one against the other, bit for bit."""
    with report_errors():
        chosen = chosen_config(config, settings, DEMO_SETTINGS)
        from enstack.verify_resume import verify_resume as verify

        verify(chosen, seed)


@app.command()
def stack(
    run_dir: Annotated[str, typer.Argument(help="A run folder whose base models are trained.")],
    add: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Probabilities of a model trained elsewhere, parquet, csv or npz; repeatable.",
        ),
    ] = None,
    unseen: Annotated[
        bool,
        typer.Option(
            "--unseen",
            help="Your word that it has seen no function that it is stacked or measured on.",
        ),
    ] = False,
) -> None:
    """Stack a run again, with models that were trained elsewhere; trains nothing."""
    with report_errors():
        files = _named_files(add or ())
        _show(lambda: api.stack(run_dir, files, unseen=unseen))


@app.command()
def report(
    run_dir: Annotated[str, typer.Argument(help="A run folder whose stacking is finished.")],
) -> None:
    """Write the report again from what is stored."""
    with report_errors():
        print_result(str(api.report(run_dir)))


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two or more finished run folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Finished runs side by side, and their chosen models on the same test functions."""
    with report_errors():
        compared = api.compare(runs)
        from enstack.reporting.run_comparison_text import comparison_text

        _print(as_json, lambda: dataclasses.asdict(compared), lambda: comparison_text(compared))


@app.command()
def clean(
    local_dir: Annotated[
        str | None,
        typer.Option(help="The scratch disk, as in a run; ~/.cache/enstack if left out."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings whose local_dir is meant.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
) -> None:
    """List what the scratch disk keeps that no run needs, with sizes, and remove it when told to.

    Caches are made again when a run wants them. What a running process uses is kept, and so are
    checkpoints that run_dir does not hold yet.
    """
    with report_errors():
        place = load_config(config).local_dir if config and local_dir is None else local_dir
        found = api.clean(place)
        print_result(found.text())
        if found.removable and (yes or confirmed(f"Remove {found.size / 2**20:,.1f} MiB?")):
            print_result(f"Removed {found.remove() / 2**20:,.1f} MiB.")


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="A new .yaml file.")] = Path("enstack.yaml"),
) -> None:
    """Write a commented configuration: every setting with its meaning and default."""
    with report_errors():
        print_result(str(api.init(file)))


@app.command()
def doctor(
    run_dir: Annotated[
        str | None, typer.Argument(help="A run folder whose last events are printed too.")
    ] = None,
) -> None:
    """What this machine computes with, and what a report of a fault needs."""
    with report_errors():
        api.doctor(run_dir)


@app.command()
def toy(
    folder: Annotated[str, typer.Argument(help="A folder without data in it.")],
    vdisc: Annotated[
        int | None, typer.Option(help="So many functions in the shape of Draper VDISC.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 42,
) -> None:
    """Write made-up data: the toy's functions, or a stand-in for Draper VDISC of any size."""
    with report_errors(), progress():
        print_result(str(api.write_toy(folder, vdisc, seed)))


def _print(as_json: bool, values: Callable[[], Any], text: Callable[[], str]) -> None:
    """Print a result as one JSON object, or for people."""
    print_result(json_text(values(), indent=2) if as_json else text(), for_programs=as_json)


def _named_files(added: Sequence[str]) -> dict[str, str]:
    """The file of each name; ConfigError for what is not NAME=FILE, or a name twice."""
    pairs = [one.partition("=") for one in added]
    wrong = [name + sign for name, sign, file in pairs if not (name and file)]
    if wrong or len({name for name, _, _ in pairs}) < len(pairs):
        found = repr(wrong[0]) if wrong else "one name twice"
        raise ConfigError(f"--add must be NAME=FILE, each name once; found {found}.")
    return {name: file for name, _, file in pairs}


def _run(config: RunConfig) -> None:
    _show(lambda: api.run(config, announce=not is_quiet()))


def _show(work: Callable[[], RunResults]) -> None:
    """Do a run's work; who wants results alone gets the leaderboard and the report's place."""
    if not is_quiet():
        work()
        return
    with quietly():
        results = work()
    from enstack.reporting.leaderboard import leaderboard_text
    from enstack.reporting.verdict import verdict_text

    told = [leaderboard_text(results.run_dir), str(results.report)]
    if results.verdict is not None:
        told.append(verdict_text(results.verdict))
    print_result("\n".join(told))
