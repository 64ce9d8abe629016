"""A page in English and Vietnamese: each of its pieces is said in both, and a switch shows one."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Mapping
from importlib import resources

import yaml

from enstack.console import unbroken

__all__ = ["Catalog", "in_two_languages", "read_catalog"]

CATALOG = "vietnamese.yaml"
# What holds a piece of text: none of these lies in another of its kind on our pages.
PIECE = re.compile(
    r"<(p|li|h1|h2|h3|th|td|dt|dd|caption|figcaption|summary|text)\b([^>]*)>(.*?)</\1>", re.DOTALL
)
LABEL = re.compile(r'\bdata-label="([^"]*)"')
PLACE = re.compile(r"\\{(\w+)\\}")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)")
LETTER = re.compile(r"[^\W\d_]")
TAG = re.compile(r"<[^>]*>")
IN_A_SENTENCE = r"(?:(?![.!?]\s+\S).)+?"
FITTING = {
    "num_": r"[−+\d.,%–<>&;lgt]+(?: %)?",  # with signs, percent, and < as it is escaped
    "name_": r"\S+(?:, \S+)*?(?: and \S+)?",
    "any_": ".+?",
}
NAMED = 'translate="no"'  # a user's own word, which may be like one of ours
COMMA = re.compile(", (?!each tempered)")  # which is the end of a model's own title
LISTS = ("names", "name_members")
QUOTES = (
    ("&#34;", '"'),
    ("&quot;", '"'),
    ("&#39;", "'"),
    ("&#x27;", "'"),
    ("&nbsp;", " "),
    ("\u00a0", " "),
)


class Catalog:
    """Finds the Vietnamese of a piece of English; what it lacks stays English, in `unknown`.

    names: what stood in places and is no entry itself.
    """

    def __init__(self, translations: Mapping[str, str]) -> None:
        # Those that say most by themselves come first: a place may stand for anything.
        forms = sorted(translations, key=lambda form: -len(re.sub(r"\{\w+\}", "", form)))
        self._forms = [(_pattern(form), translations[form]) for form in forms]
        self._found: dict[str, str | None] = {}
        self.names: set[str] = set()
        self.unknown: set[str] = set()

    def translated(self, text: str) -> str | None:
        """A piece in Vietnamese, as a whole or sentence by sentence; None where it is unknown."""
        if text not in self._found:
            sentences = SENTENCE_END.split(text)
            self._found[text] = self._sentences(tuple(sentences))
        return self._found[text]

    def _sentences(self, sentences: tuple[str, ...]) -> str | None:
        """As many sentences at once as a form has, and then the rest."""
        for n in range(len(sentences), 0, -1):
            said = self._whole(" ".join(sentences[:n]))
            rest = "" if n == len(sentences) else said and self._sentences(sentences[n:])
            if said is not None and rest is not None:
                return f"{said} {rest}".rstrip()
        return None

    def _whole(self, text: str) -> str | None:
        for pattern, translation in self._forms:
            match = pattern.fullmatch(text)
            parts = match and self._parts(match.groupdict())
            if parts is not None:
                return translation.format(**parts)
        return None

    def _parts(self, parts: dict[str, str]) -> dict[str, str] | None:
        """What stands in a form's places, said; None where one must be an entry and is none."""
        said = {
            name: self.translated(part) or (self._listed(part) if name in LISTS else None)
            for name, part in parts.items()
            if LETTER.search(part) or name.startswith("known_")
        }
        strange = [name for name, part in said.items() if part is None]
        if any(name.startswith("known_") for name in strange):
            return None
        self.names.update(parts[name] for name in strange)
        return {name: said.get(name) or part for name, part in parts.items()}

    def _listed(self, text: str) -> str:
        """Names in a list, "a, b and c", of which those that are entries are said."""
        *names, last = COMMA.split(text)
        names += last.split(" and ", 1)
        said = [(name, self.translated(name)) for name in names]
        self.names.update(name for name, one in said if one is None)
        *first, last = (one or name for name, one in said)
        return " và ".join([", ".join(first), last]) if first else last


def in_two_languages(page: str, catalog: Catalog) -> str:
    """A page's English with its Vietnamese beside each piece that has one; code is left alone.

    What a form's places stand for is on the page already, escaped.
    """
    page = PIECE.sub(functools.partial(_piece, catalog), page)
    return LABEL.sub(functools.partial(_label, catalog), page)


@functools.cache
def read_catalog() -> Mapping[str, str]:
    """The Vietnamese of each English form."""
    stored = resources.files("enstack.reporting").joinpath(CATALOG).read_text(encoding="utf-8")
    read = yaml.safe_load(stored)
    return {
        **{entry["en"]: entry["vi"] for entry in read["translations"]},
        **{same: same for same in read["same"]},
    }


def _piece(catalog: Catalog, match: re.Match[str]) -> str:
    tag, attributes, english = match.groups()
    said = None if NAMED in attributes else _said(catalog, english)
    if said is None:
        return match[0]
    part = "tspan" if tag == "text" else "span"  # of a picture, or of the page
    both = f'<{part} lang="en">{english}</{part}><{part} lang="vi">{said}</{part}>'
    return f"<{tag}{attributes}>{both}</{tag}>"


def _label(catalog: Catalog, match: re.Match[str]) -> str:
    said = _said(catalog, match[1]) or match[1]
    return f'{match[0]} data-vi="{said.replace(chr(34), "&quot;")}"'


def _said(catalog: Catalog, english: str) -> str | None:
    """The Vietnamese of a piece; None where there is none, or where it is the same."""
    plain = " ".join(_unquoted(english).split())
    if not LETTER.search(html.unescape(TAG.sub("", plain))):
        return None
    said = catalog.translated(plain)
    if said is None:
        catalog.unknown.add(plain)
    return None if said in (None, plain) else unbroken(said)


def _unquoted(text: str) -> str:
    for escaped, sign in QUOTES:
        text = text.replace(escaped, sign)
    return text


@functools.cache
def _pattern(form: str) -> re.Pattern[str]:
    """A form as a regular expression, in which a place's name says what may stand there."""
    pattern = PLACE.sub(lambda place: f"(?P<{place[1]}>{_fitting(place[1])})", re.escape(form))
    return re.compile(pattern, re.DOTALL)


def _fitting(place: str) -> str:
    for prefix, pattern in FITTING.items():
        if place.startswith(prefix):
            return pattern
    return IN_A_SENTENCE
