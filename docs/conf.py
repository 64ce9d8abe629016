"""How Sphinx makes a site out of README.md, docs/ and their neighbours (`make docs`)."""

from __future__ import annotations

from sphinx.application import Sphinx

project = "enstack"
copyright = "the enstack authors"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "enstack"
html_show_sourcelink = False

# The README is the first page, so the sources are the repository's root: links between README.md
# and docs/ are then the same in the site as they are where the files are read as they lie.
root_doc = "README"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "build", "dist", "enstack_runs", "scratch", "**/node_modules"]
myst_heading_anchors = 3
CONTENTS = {
    "Use": [
        "data",
        "configuration",
        "cli",
        "python",
        "notebook",
        "run-folder",
        "scanning",
        "troubleshooting",
    ],
    "Resume": ["resume", "old-checkpoints", "parallel"],
    "Measured": ["speed", "gpu", "juliet", "vdisc", "audit", "statistics"],
    "Tiếng Việt": ["/README.vi", "guide.vi", "old-checkpoints.vi"],
    "Develop": ["/CONTRIBUTING", "architecture", "decisions", "log", "/CHANGELOG"],
}


def _add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Give the first page the site's contents, which would be noise in README.md itself."""
    if name == root_doc:
        source[0] += "".join(_toctree(title, pages) for title, pages in CONTENTS.items())


def _toctree(title: str, pages: list[str]) -> str:
    names = [page.removeprefix("/") if page.startswith("/") else f"docs/{page}" for page in pages]
    options = f":caption: {title}\n:hidden:\n:maxdepth: 1\n"
    return f"\n\n```{{toctree}}\n{options}\n" + "\n".join(names) + "\n```\n"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _add_contents)
