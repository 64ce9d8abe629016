"""What a notebook gives its user to keep: the model as a bundle, and the report, as downloads."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from enstack.notebook.cells import download_button, report_button, require_run_dir
from enstack.notebook.forms import inside, toy_overrides
from enstack.progress.say import say

if TYPE_CHECKING:
    from enstack.config import RunConfig
    from enstack.scanning.scan import Scan

MOST_IN_A_PAGE = 32 << 20  # bytes of a download that a notebook's page can hold
MIB = 1 << 20


def keep_model(
    work: Path,
    run: RunConfig | str | Path | None,
    *,
    name: str = "auto",
    to: str = "auto",
    hub_id: str = "",
) -> Path:
    """Cell 11: export a run's model into the work folder, and offer what can be downloaded.

    name: which model, to: the folder's name; `auto`: the run's choice, and named after the run.
    hub_id: where it is pushed to on the hub, private, if anywhere. Returns the folder.
    """
    from IPython.display import HTML, display

    from enstack.bundle.exporting import export_run, is_exported
    from enstack.bundle.hub import push_bundle
    from enstack.inputs import scratch_disk
    from enstack.run_folder import RunFolder
    from enstack.storage.caches import holding_caches

    run_dir = require_run_dir(run)
    named = f"{run_dir.name}_model" if to.strip() in ("", "auto") else to.strip()
    place, chosen = inside(work, named, "KEEP_AS"), name.strip()
    asked = None if chosen in ("", "auto") else chosen
    if is_exported(run_dir, place, asked):
        say("▶ Exported before, skipped")
    else:
        cache_dir = scratch_disk(work / "local" if toy_overrides() else None)
        with holding_caches():
            export_run(run_dir, place, asked, cache_dir=cache_dir)
    say(f"📦 The model, with its card: {place}")
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    if size <= MOST_IN_A_PAGE:
        name = f"{place.name}.zip"
        display(HTML(download_button(_zipped(place), name, "Download the model")))
    else:
        say(f"It has {size / MIB:,.0f} MiB, too many for a button: fetch that folder from there.")
    if (folder := RunFolder(run_dir)).report_page.is_file():
        display(HTML(report_button(folder)))
    if hub_id.strip():
        say(f"🤗 {push_bundle(place, hub_id.strip())}")
    return place


def keep_findings(work: Path, found: Scan | None, name: str = "findings") -> None:
    """Write a scan as a page, JSON and SARIF into the work folder, the page a download too.

    found: None of what was pasted into a box, which is not kept.
    """
    from IPython.display import HTML, display

    from enstack.scanning.outputs import scan_as, write_output

    if found is None:
        say("What is pasted is judged and not kept: name a file or folder in cell 4, run it again.")
        return
    for form in ("json", "sarif", "html"):
        place = inside(work, f"{name.strip() or 'findings'}.{form}", "FINDINGS_AS")
        say(f"📄 {write_output(found, form, place)}")
    page = scan_as(found, "html").encode()
    display(HTML(download_button(page, place.name, "Download the findings")))


def _zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
    return content.getvalue()
