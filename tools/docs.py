"""Write the pages of docs/ that are made from the code, or check that they are as it says.

python -m tools.docs            # write the pages that PAGES names
python -m tools.docs --check    # say which of them differ from the code; exit status 1 if any
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from enstack.reporting.schema import report_schema
from enstack.scanning.scan_json import scan_schema
from enstack.storage.json_text import json_text
from tools.architecture_page import architecture_page
from tools.cli_page import cli_page
from tools.configuration_page import configuration_page

FOLDER = Path(__file__).resolve().parent.parent / "docs"
PAGES: dict[str, Callable[[], str]] = {
    "architecture.md": architecture_page,
    "cli.md": cli_page,
    "configuration.md": configuration_page,
    "report.schema.json": lambda: json_text(report_schema(), indent=2) + "\n",
    "scan.schema.json": lambda: json_text(scan_schema(), indent=2) + "\n",
}


def outdated(folder: Path) -> dict[str, str]:
    """The pages that differ from what the code says, each with the text it should have."""
    wanted = {name: page() for name, page in PAGES.items()}
    return {name: text for name, text in wanted.items() if text != _text(folder / name)}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main(arguments: list[str]) -> int:
    """Write or check every page; 1 if a check found one that differs."""
    pages = outdated(FOLDER)
    if "--check" in arguments:
        for name in pages:
            print(f"docs/{name} differs from the code: run `python -m tools.docs`")
        return int(bool(pages))
    for name, text in pages.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}: written anew")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
