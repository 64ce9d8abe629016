"""The user's own code, judged in a notebook: a box to paste into, a file, a folder or a zip."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enstack.errors import ConfigError, EnstackError
from enstack.notebook.forms import toy_overrides, user_folder

if TYPE_CHECKING:
    from enstack.bundle.opening import OpenedModel
    from enstack.bundle.trained_model import TrainedModel
    from enstack.config import RunConfig
    from enstack.scanning.scan import Scan

PASTED = "pasted.cpp"  # what C++ has and C lacks may be pasted too
EXAMPLE = """char *copy_name(const char *from, char *to)
{
    char line[16];
    strcpy(line, from);
    memcpy(to, line, strlen(from));
    return to;
}
"""


@dataclass(frozen=True, eq=False)
class Judge:
    """A model that judges what a cell is given; cache_dir: where it keeps what it has said."""

    opened: OpenedModel
    cache_dir: Path

    @cached_property
    def model(self) -> TrainedModel:
        """The model itself, loaded once."""
        return self.opened.load()

    def scan(self, place: Path) -> Scan:
        """What it finds in a file or folder."""
        from enstack.scanning.scan import scan_paths
        from enstack.storage.caches import holding_caches

        with holding_caches():
            return scan_paths([place], self.opened, cache_dir=self.cache_dir)


def open_judge(work: Path, model: RunConfig | str | Path | None, name: str = "auto") -> Judge:
    """The model that is to judge: a run's configuration, a run folder, a bundle or a hub id.

    Empty: the toy model. A folder is as given, within the work folder, or from the top of the
    user's Drive. name: which of a run's models, `auto` for its choice.
    """
    from enstack.bundle.hub import model_place
    from enstack.bundle.opening import open_model
    from enstack.bundle.sample import toy_model
    from enstack.inputs import scratch_disk
    from enstack.storage.caches import holding_caches

    asked = str(getattr(model, "run_dir", model) or "").strip()
    place = model_place(asked, _folder(work, asked)) if asked else toy_model()
    chosen = name.strip() if name.strip() not in ("", "auto") else None
    # Tests shall leave nothing in the user's own cache.
    cache_dir = scratch_disk(work / "local" if toy_overrides() else None)
    with holding_caches():
        return Judge(open_model(place, chosen, cache_dir=cache_dir), cache_dir)


def _folder(work: Path, named: str) -> Path:
    # An absolute path stays what it is when it is joined to a folder.
    inside = work / named
    return inside if inside.is_dir() else user_folder(named)


def try_code(judge: Judge, source: str = "") -> Scan | None:
    """Cell 10: judge a file, a folder or a .zip of C and C++; without one, what is pasted in a box.

    source: as given, or counted from the top of the user's Drive. Returns the scan, None of a box.
    Raises DataError for what is not there, or is no whole archive.
    """
    named = source.strip()
    if not named:
        _show_box(judge)
        return None
    place = user_folder(named)
    if place.suffix.lower() != ".zip":
        return _shown(judge, place)
    from enstack.scanning.archives import unpack_sources

    with tempfile.TemporaryDirectory() as folder:
        unpack_sources(place, Path(folder))
        return _shown(judge, Path(folder))


def _shown(judge: Judge, place: Path) -> Scan:
    from IPython.display import HTML, display

    from enstack.notebook.judged import judged_page

    found = judge.scan(place)
    display(HTML(judged_page(found, judge.model, place)))
    return found


def _show_box(judge: Judge) -> None:
    """A box with an example, judged at once, and a button that judges what stands there then."""
    try:
        import ipywidgets
    except ImportError:
        raise ConfigError("Pasting needs ipywidgets: install it, or name a file above.") from None
    from IPython.display import display

    layout = ipywidgets.Layout(width="98%", height="12em", font_family="monospace")
    box = ipywidgets.Textarea(value=EXAMPLE, layout=layout)
    button = ipywidgets.Button(description="Judge", button_style="primary", icon="search")
    result = ipywidgets.HTML(value=_of_text(judge, EXAMPLE))

    def judged(_: Any) -> None:
        button.disabled, result.value = True, "Judging …"
        try:
            result.value = _of_text(judge, box.value)
        finally:
            button.disabled = False

    button.on_click(judged)
    display(ipywidgets.VBox([box, button, result]))


def _of_text(judge: Judge, text: str) -> str:
    """The page on a pasted text; what can't be judged is said there: a click has no traceback."""
    import html

    from enstack.notebook.judged import judged_page
    from enstack.progress.quiet import quietly

    try:
        with tempfile.TemporaryDirectory() as folder, quietly():
            place = Path(folder) / PASTED
            place.write_text(text, encoding="utf-8", errors="surrogatepass")
            return judged_page(judge.scan(place), judge.model, place)
    except EnstackError as error:
        return f"⚠️ {html.escape(str(error))}"
