"""The command line: each command of it, and its options."""

from __future__ import annotations

import contextlib
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from enstack import api
from enstack.bench import BENCHMARKS, load_benchmark
from enstack.config import RunConfig, load_config
from enstack.console import put, take_standard_streams
from enstack.errors import ConfigError
from enstack.exit_status import (
    DEBUG,
    finish_output,
    print_result,
    report_errors,
    show_warning,
)
from enstack.storage.disks import require_writable
from enstack.storage.json_text import json_text

app = typer.Typer(
    help="Fine-tune code models to find vulnerabilities in C/C++ functions, and stack them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# Learnt well by the tiny models on the toy data in about a minute.
DEMO_SETTINGS: dict[str, Any] = {
    "data_dir": "toy",
    "label_mode": "cwe_or_clean",
    "epochs": 8,
    "save_steps": 20,
}


@app.command()
def demo(
    run_dir: Annotated[Path, typer.Option(help="Where results live.")] = Path("enstack_runs/demo"),
) -> None:
    """The whole pipeline on the toy data, on the CPU, without a network."""
    with report_errors():
        api.run(RunConfig(**DEMO_SETTINGS, run_dir=str(run_dir)), announce=True)


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
        api.run(load_config(config, settings or ()), announce=True)


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="A checkpoint, or a run folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Is it whole, what is in it, and from where will training go on? Changes nothing."""
    with report_errors():
        from enstack.checkpoints.inspection_text import verdict_text

        verdict = api.inspect(path)
        print_result(json_text(verdict.to_json(), indent=2) if as_json else verdict_text(verdict))
        if not verdict.valid:
            # The status of a CheckpointError.
            raise typer.Exit(4)


@app.command()
def audit(
    data: Annotated[str, typer.Argument(help='A folder with the three splits, or "toy".')],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="A folder for audit.html and audit.json.")
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
        str, typer.Option(help="The scratch disk, as in a run; ~/.cache/enstack if left out.")
    ] = "",
) -> None:
    """What is in the data: classes, lengths, duplicates, contradictions, what word counts tell."""
    with report_errors():
        if output is not None:
            # Before the audit, which takes minutes on large data.
            require_writable(output, "--output", ConfigError)
        from enstack.auditing.table import audit_text

        # Progress is no result.
        with contextlib.redirect_stdout(sys.stderr):
            audited = api.audit(
                data,
                tokenizers=tokenizer or (),
                label_mode=label_mode,
                max_length=max_length,
                local_dir=local_dir,
            )
        if output is not None:
            from enstack.auditing.page import write_audit

            # Standard output holds the result alone, with --json one object.
            put(str(write_audit(output, audited)), sys.stderr)
        print_result(json_text(audited.to_json(), indent=2) if as_json else audit_text(audited))


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
    run_dir: Annotated[Path, typer.Argument(help="A run folder whose stacking is finished.")],
) -> None:
    """Write the report again from what is stored."""
    with report_errors():
        print_result(str(api.report(run_dir)))


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help=" or ".join(BENCHMARKS) + ".")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Ratios against peers, measured in the same run."""
    with report_errors():
        benchmark = load_benchmark(name)
        # Libraries print what they like; standard output is for the result alone.
        with contextlib.redirect_stdout(sys.stderr):
            results = benchmark.measure()
        print_result(json_text(results, indent=2) if as_json else benchmark.table(results))


def main() -> None:
    """Run the command line."""
    take_standard_streams()
    warnings.showwarning = show_warning
    # Taken out before typer looks, so that it may stand anywhere in the line.
    if DEBUG in sys.argv:
        sys.argv.remove(DEBUG)
    try:
        app()
    except KeyboardInterrupt:
        # Ctrl-C outside of a command, as while its arguments are read.
        sys.exit(130)
    finally:
        finish_output()
