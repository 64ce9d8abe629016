"""A run that diverges by the command line, and the same command again as its message advises."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from enstack.config import RunConfig
from tests.support.command_line import enstack_here
from tests.support.spoiling import Kind, at, faults_below, spoil

ADVISED = re.compile(r"Run the same with (\w+)=(\w+)")
# By batch and functions; what a last step has spoilt shows in what is saved or validated next.
TOLD = re.compile(r"epoch \d+ \(functions .+\)|(Weights|probabilities) (that are saved )?must be")


def follow_advice(
    config: RunConfig, file: Path, *, epoch: int, batch: int, kind: Kind = "loss"
) -> list[str]:
    """Let a batch of a run go wrong until the advice is followed; what is not right, in words.

    file: where the configuration is written to. The fault comes at that batch as long as the
    advised setting is what it was, as an overflow in half precision does.
    """
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    findings: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        there = at(epoch, batch)

        def as_before(training: Any) -> bool:
            same = ("precision", "accumulation_steps")
            before = all(getattr(training.config, key) == getattr(config, key) for key in same)
            return before and there(training)

        spoil(patched, as_before, kind)
        first = enstack_here("run", file)
        if first.returncode != 2 or not TOLD.search(first.stderr):
            findings.append(f"ended with {first.returncode}: {first.stderr.strip()[:200]}")
        findings += _of_what_lies_there(config)
        advised = ADVISED.search(first.stderr)
        if advised is None:
            return [*findings, f"no advice: {first.stderr.strip()[:200]}"]
        again = enstack_here("run", file, f"{advised[1]}={advised[2]}")
    if again.returncode != 0:
        findings.append(f"the advice {advised[0]!r} ends with {again.returncode}: {again.stderr}")
    return findings + _of_what_lies_there(config)


def _of_what_lies_there(config: RunConfig) -> list[str]:
    """What is no number in weights, moments, sums and JSON, and what inspect does not like."""
    places = [Path(config.run_dir), config.scratch_dir]
    found = [f"{folder}: {fault}" for folder, fault in faults_below(*places).items()]
    inspected = enstack_here("inspect", config.run_dir)
    if inspected.returncode:
        found.append(f"inspect: {inspected.stdout[:200]}")
    for path in sorted(Path(config.run_dir).rglob("*.json*")):
        text = path.read_text()
        for value in text.splitlines() if path.suffix == ".jsonl" else [text]:
            try:
                json.loads(value, parse_constant=_refuse)
            except ValueError as error:
                found.append(f"{path.name}: {error}")
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
