"""`enstack bench`: the benchmarks of a clone, by name."""

from __future__ import annotations

from typing import Annotated

import typer

from enstack.bench import BENCHMARKS, load_benchmark
from enstack.cli.app import app, progress
from enstack.exit_status import print_result, report_errors
from enstack.storage.json_text import json_text


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help=" or ".join(BENCHMARKS) + ".")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Ratios against peers, measured in the same run."""
    with report_errors():
        benchmark = load_benchmark(name)
        # Libraries print what they like; standard output is for the result alone.
        with progress():
            results = benchmark.measure()
        text = json_text(results, indent=2) if as_json else benchmark.table(results)
        print_result(text, for_programs=as_json)
