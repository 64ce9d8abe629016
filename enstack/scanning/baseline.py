"""Reads the findings of an earlier scan out of its JSON or SARIF form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from enstack.errors import ConfigError, reason_of
from enstack.progress.screen import warn
from enstack.scanning.known import Baseline, BaselineFinding
from enstack.scanning.paths import absolute, root_of
from enstack.scanning.sarif import FINGERPRINT, TOOL
from enstack.scanning.scan_json import SCAN_EDITION
from enstack.storage.json_text import parsed_json

__all__ = ["read_baseline"]


def read_baseline(file: Path, named: Sequence[Path]) -> Baseline:
    """The findings of an earlier scan; named: what is scanned now, by which URIs are read.

    Says how many findings the file leaves out. Raises ConfigError for what no scan has written.
    """
    try:
        told = parsed_json(file.read_bytes())
        baseline = _read(told, str(file), root_of(named))
    except OSError as error:
        raise ConfigError(f"--baseline {file} can't be read: {reason_of(error)}.") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ConfigError(
            f"--baseline must be a JSON or SARIF file that {TOOL} has written; {file} is none: "
            f"{_reason(error)}. Make one: enstack scan ... --output baseline.json"
        ) from error
    if baseline.missing:
        warn(
            f"⚠️  {file} leaves out {baseline.missing:,} findings, which count as new ones now: "
            "make the baseline with --format json, which has all."
        )
    return baseline


def _reason(error: Exception) -> str:
    what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    return f"{what:.200}".rstrip(".")


def _read(told: dict[str, Any], file: str, root: Path) -> Baseline:
    _require(isinstance(told, dict), "it is no JSON object")
    if "runs" in told:
        (run,) = told["runs"]
        _require(run["tool"]["driver"]["name"] == TOOL, f"its tool is no {TOOL}")
        found = list(_of_sarif(run["results"], root))
        shown = run["properties"]["findings"]
        return Baseline(file, found, max(0, int(shown) - len(found)))
    _require(told["tool"] == TOOL, f"its tool is no {TOOL}")
    edition = told["edition"]
    _require(edition == SCAN_EDITION, f"it is of edition {edition}, and not {SCAN_EDITION}")
    return Baseline(file, [_of_json(one) for one in told["findings"]], 0)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def _of_json(one: dict[str, Any]) -> BaselineFinding:
    return BaselineFinding(
        path=absolute(Path(one["path"])),
        shown=str(one["path"]),
        line=int(one["line"]),
        name=str(one["name"]),
        class_name=str(one["class_name"]),
        fingerprint=str(one["fingerprint"]),
    )


def _of_sarif(results: list[dict[str, Any]], root: Path) -> Iterator[BaselineFinding]:
    for one in results:
        (location,) = one["locations"]
        place = location["physicalLocation"]
        uri = str(place["artifactLocation"]["uri"])
        yield BaselineFinding(
            path=absolute(root / unquote(uri, errors="surrogateescape")),
            shown=uri,
            line=int(place["region"]["startLine"]),
            name=str(location["logicalLocations"][0]["fullyQualifiedName"]),
            class_name=str(one["ruleId"]),
            fingerprint=str(one["partialFingerprints"][FINGERPRINT]),
        )
