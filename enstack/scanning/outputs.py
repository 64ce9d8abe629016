"""The forms that a scan is written in, and where each goes: files, or one to standard output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from enstack.errors import ConfigError, reason_of
from enstack.scanning.scan import Scan
from enstack.storage.files import write_text

__all__ = ["FORMATS", "Output", "named_outputs", "scan_as", "write_output"]

FORMATS = ("table", "json", "sarif", "html")
SUFFIXES = {".json": "json", ".sarif": "sarif", ".html": "html", ".txt": "table"}
# In the first part of each, so that no file of somebody else is written over.
OWN_MARK = b"enstack scan"
MARKED_WITHIN = 4096


@dataclass(frozen=True)
class Output:
    """A form, and the file that it goes to; None for standard output."""

    form: str
    path: Path | None


def named_outputs(forms: Sequence[str], files: Sequence[Path]) -> list[Output]:
    """The outputs that are asked for, before anything is scanned.

    The first form goes to the first file, and so on; without forms, a file's name tells its own.
    One more form than files goes to standard output; nothing asked for is the table there. Raises
    ConfigError for what is no form, for files that no form is left for, and for a file that no scan
    has written, or that can't be written.
    """
    unknown = [form for form in forms if form not in FORMATS]
    if unknown:
        raise ConfigError(
            f"--format must be one of {', '.join(FORMATS)}, found {unknown[0]!r:.40}."
        )
    if not forms and files:
        forms = [_form_of(path) for path in files]
    if len(files) > len(forms) or len(forms) > len(files) + 1:
        raise ConfigError(
            f"Each --output must have its --format, and one more at most goes to standard output; "
            f"found {len(forms)} of the one and {len(files)} of the other."
        )
    if len(set(files)) < len(files):
        raise ConfigError("--output must name each file once; found one twice.")
    for path in files:
        _require_place(path)
    places: list[Path | None] = [*files, *[None] * (len(forms) - len(files))]
    if not forms:
        return [Output("table", None)]
    return [Output(form, path) for form, path in zip(forms, places, strict=True)]


def scan_as(scan: Scan, form: str) -> str:
    """A scan in one of FORMATS, with a line end at its end."""
    return _writers()[form](scan)


def write_output(scan: Scan, form: str, path: Path) -> Path:
    """Write a scan in a form into a file, whole or not at all, and return its path."""
    # Half a character of a name, which a file may have, is in no encoding.
    text = scan_as(scan, form).encode("utf-8", "replace").decode()
    try:
        write_text(path, text)
    except OSError as error:
        raise ConfigError(f"--output {path} can't be written: {reason_of(error)}.") from error
    return path


def _writers() -> dict[str, Callable[[Scan], str]]:
    # Imported here: templates and the schema's types are not for every scan.
    from enstack.scanning.page import scan_page
    from enstack.scanning.sarif import scan_sarif
    from enstack.scanning.scan_json import scan_json
    from enstack.scanning.table import scan_text

    return {
        "table": lambda scan: f"{scan_text(scan)}\n",
        "json": scan_json,
        "sarif": scan_sarif,
        "html": scan_page,
    }


def _form_of(path: Path) -> str:
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"--output must end in {', '.join(SUFFIXES)}, or have its --format; found {path}."
        )
    return SUFFIXES[path.suffix.lower()]


def _require_place(path: Path) -> None:
    """ConfigError for a file that is somebody else's, or in no folder: a scan may take hours."""
    if not path.parent.is_dir():
        raise ConfigError(
            f"--output must lie in a folder that is there; {path.parent} is none. Make it first."
        )
    if path.is_symlink():
        raise ConfigError(f"--output must name a file itself, {path} is a link. Name its target.")
    if path.exists() and not path.is_file():
        raise ConfigError(f"--output must name a file, {path} is none. Name one in it, or beside.")
    try:
        content = b""
        if path.exists():
            with path.open("rb") as file:
                content = file.read(MARKED_WITHIN)
    except OSError as error:
        raise ConfigError(f"--output {path} can't be read: {reason_of(error)}.") from error
    if content and OWN_MARK not in content:
        raise ConfigError(
            f"--output must be a new file, or one that a scan has written; {path} is another, and "
            "is kept. Name another file."
        )
