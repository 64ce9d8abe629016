"""Holds SARIF against the standard's schema and what GitHub documents of code scanning."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema

from enstack.scanning.sarif import FINGERPRINT

SCHEMA = json.loads((Path(__file__).parent / "sarif-schema-2.1.0.json").read_text())


def as_github_takes_it(text: str) -> dict[str, Any]:
    """The run of a SARIF text, held against the schema and GitHub's documented rules."""
    log = json.loads(text)
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    (run,) = log["runs"]
    listed = run["tool"]["driver"]["rules"]
    assert len(listed) <= 25_000
    for rule in listed:
        assert len(rule["properties"]["tags"]) <= 10
        assert "security" in rule["properties"]["tags"]
        assert 0 < float(rule["properties"]["security-severity"]) <= 10
        assert rule["properties"]["precision"] in ("very-high", "high", "medium", "low")
        assert len(rule["shortDescription"]["text"]) <= 1024
        assert rule["help"]["text"]
        assert rule["help"]["markdown"]
    assert len(run["results"]) <= 5000
    for result in run["results"]:
        assert listed[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"].endswith(".")
        assert len(result["locations"]) == 1
        place = result["locations"][0]["physicalLocation"]
        assert re.fullmatch(r"[\w!$&'()*+,;=@.~%/-]+", place["artifactLocation"]["uri"], re.ASCII)
        assert not place["artifactLocation"]["uri"].startswith(("/", "../"))
        region = place["region"]
        first = region["startLine"], region["startColumn"]
        assert (1, 1) <= first < (region["endLine"], region["endColumn"])
        assert set(result["partialFingerprints"]) == {FINGERPRINT}
    return dict(run)
