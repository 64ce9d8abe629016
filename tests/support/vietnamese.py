"""What of a page has no Vietnamese."""

from __future__ import annotations

import html
import re

from enstack.reporting.two_languages import Catalog, in_two_languages, read_catalog
from tests.support.pages import english

# No part of a name with hyphens, as models have.
PLAIN_WORDS = re.compile(
    r"(?<![-/\w])(the|of|is|are|that|which|was|with|it|its|on|for|from|than|where)(?![-/\w])"
)


def catalog_of(page: str) -> Catalog:
    catalog = Catalog(read_catalog())
    in_two_languages(english(page), catalog)
    return catalog


def english_left(page: str) -> list[str]:
    """Pieces, and what stands in places, that read like English and have no translation."""
    catalog = catalog_of(page)
    return sorted(
        piece
        for piece in catalog.unknown | catalog.names
        if PLAIN_WORDS.search(html.unescape(piece))
    )
