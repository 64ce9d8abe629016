"""What stands on an HTML page, in English where it is in two languages."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

# A span within a span is no piece of its own on these pages, and none holds a third.
WITHIN = r"((?:(?!</?span).|<span[^>]*>(?:(?!</?span).)*</span>)*)"


class Page(HTMLParser):
    """Tags, link targets and visible text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.targets: list[str] = []
        self.words: list[str] = []
        self.feed(english(path.read_text(encoding="utf-8")))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.targets += [value or "" for name, value in attrs if name in {"src", "href", "srcset"}]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def english(page: str) -> str:
    """A page as it was before its Vietnamese came to it."""
    page = re.sub(rf'<span lang="vi">{WITHIN}</span>', "", page, flags=re.DOTALL)
    page = re.sub(rf'<span lang="en">{WITHIN}</span>', r"\1", page, flags=re.DOTALL)
    page = re.sub(r'<tspan lang="vi">[^<]*</tspan>', "", page)
    page = re.sub(r'<tspan lang="en">([^<]*)</tspan>', r"\1", page)
    return re.sub(r' data-vi="[^"]*"', "", page)
