"""The command line: each command of it, and its options."""

from __future__ import annotations

import contextlib
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from enstack import __version__, api
from enstack.bench import BENCHMARKS, load_benchmark
from enstack.config import RunConfig, load_config
from enstack.console import put, take_standard_streams
from enstack.errors import CheckpointError
from enstack.exit_status import (
    DEBUG,
    confirmed,
    finish_output,
    print_result,
    report_errors,
    show_warning,
)
from enstack.progress.quiet import quietly
from enstack.progress.stopping import process_ended_by_signals
from enstack.storage.json_text import json_text

app = typer.Typer(
    help="Fine-tune code models to find vulnerabilities in C/C++ functions, and stack them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
ANYWHERE = (DEBUG, "-q", "--quiet")  # options of all commands, wherever they stand in the line
_chosen = {"quiet": False}  # of the options above, for the one command of a process
# Learnt well by the tiny models on the toy data in about a minute.
DEMO_SETTINGS: dict[str, Any] = {
    "data_dir": "toy",
    "label_mode": "cwe_or_clean",
    "epochs": 8,
    "save_steps": 20,
}


def _print_version(asked: bool) -> None:
    if asked:
        print_result(f"enstack {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_version,
            help="Print the version and end.",
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Results and errors alone, no progress.")
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error too.")] = False,
) -> None:
    """Fine-tune code models to find vulnerabilities in C/C++ functions, and stack them."""
    _chosen["quiet"] = quiet


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
    with report_errors():
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
        text = json_text(verdict.to_json(), indent=2) if as_json else verdict_text(verdict)
        print_result(text, for_programs=as_json)
        if not verdict.valid:
            # The status of a CheckpointError.
            raise typer.Exit(4)


@app.command()
def audit(
    data: Annotated[str, typer.Argument(help='A folder with the three splits, or "toy".')],
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
        str, typer.Option(help="cwe, cwe_or_clean, binary or multilabel, as in a run.")
    ] = "cwe_or_clean",  # which leaves no function out
    max_length: Annotated[int, typer.Option(help="Tokens that a model reads.")] = 512,
    local_dir: Annotated[
        str | None,
        typer.Option(help="The scratch disk, as in a run; ~/.cache/enstack if left out."),
    ] = None,
) -> None:
    """What is in the data: classes, lengths, duplicates, contradictions, what word counts tell."""
    with report_errors():
        page = None if output is None else api.named_folder(output)
        if page is not None:
            from enstack.auditing.page import require_place, write_audit

            # Before the audit, which takes minutes on large data.
            require_place(page)
        from enstack.auditing.table import audit_text

        # Progress is no result.
        with _progress():
            audited = api.audit(
                data,
                tokenizers=tokenizer or (),
                label_mode=label_mode,
                max_length=max_length,
                **({} if local_dir is None else {"local_dir": local_dir}),
            )
        if page is not None:
            # Standard output holds the result alone, with --json one object.
            put(str(write_audit(page, audited)), sys.stderr)
        text = json_text(audited.to_json(), indent=2) if as_json else audit_text(audited)
        print_result(text, for_programs=as_json)


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
        chosen = load_config(config, settings or ()) if config else RunConfig(**DEMO_SETTINGS)
        from enstack.verify_resume import verify_resume as verify

        verify(chosen, seed)


@app.command()
def report(
    run_dir: Annotated[str, typer.Argument(help="A run folder whose stacking is finished.")],
) -> None:
    """Write the report again from what is stored."""
    with report_errors():
        print_result(str(api.report(run_dir)))


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
def bench(
    name: Annotated[str, typer.Argument(help=" or ".join(BENCHMARKS) + ".")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Ratios against peers, measured in the same run."""
    with report_errors():
        benchmark = load_benchmark(name)
        # Libraries print what they like; standard output is for the result alone.
        with _progress():
            results = benchmark.measure()
        text = json_text(results, indent=2) if as_json else benchmark.table(results)
        print_result(text, for_programs=as_json)


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
    with report_errors(), _progress():
        print_result(str(api.write_toy(folder, vdisc, seed)))


def _run(config: RunConfig) -> None:
    if not _is_quiet():
        api.run(config, announce=True)
        return
    with quietly():
        results = api.run(config)
    from enstack.reporting.leaderboard import leaderboard_text

    print_result(f"{leaderboard_text(results.run_dir)}\n{results.report}")


def _is_quiet() -> bool:
    return _chosen["quiet"]


def _progress() -> contextlib.AbstractContextManager[Any]:
    """Where progress goes while a result is made: to standard error, or nowhere."""
    return quietly() if _is_quiet() else contextlib.redirect_stdout(sys.stderr)


@process_ended_by_signals()
def main() -> None:
    """Run the command line."""
    take_standard_streams()
    warnings.showwarning = show_warning
    anywhere = [word for word in sys.argv[1:] if word in ANYWHERE]
    others = [word for word in sys.argv[1:] if word not in ANYWHERE]
    # Typer knows options of all commands before the command alone.
    sys.argv[1:] = [*anywhere, *others]
    try:
        app()
    finally:
        finish_output()
