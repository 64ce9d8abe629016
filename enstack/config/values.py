"""The kinds of values that settings take, and keys in either case."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from enstack.config.names import META_CLASSIFIERS, home_expanded
from enstack.config.yaml_text import YAMLError, read_yaml


def _refuse_bool(value: Any) -> Any:
    # To Python True is the number 1, and EPOCHS = True would train one epoch.
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _split_names(value: Any) -> Any:
    """`a,b` or `[a, b]` as text means a list of two names; a path is one, commas and all."""
    if isinstance(value, os.PathLike):
        return [value]
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("[") and text.endswith("]"):
        # Quotes around the names, or around none of them.
        with contextlib.suppress(YAMLError, ValueError, RecursionError):
            return read_yaml(text)
    return [name.strip() for name in text.split(",") if name.strip()]


def _path_text(value: Any) -> Any:
    """A path as text: pydantic takes no Path for it, and only a shell knows what ~ means."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    # pydantic would take bytes; no system can open a name with a zero in it.
    if isinstance(path, bytes) or (isinstance(path, str) and "\0" in path):
        raise ValueError("must be text without NUL characters")
    if isinstance(path, str) and not is_unicode(path):
        raise ValueError("must be a name in UTF-8, as all records of a run are: rename the folder")
    if not isinstance(path, str) or path[:1] != "~":
        return path
    expanded = home_expanded(path)
    # A slip more often than a folder's name; a folder that is there may be called so.
    if str(expanded)[:1] == "~" and not Path(expanded.parts[0]).exists():
        name = expanded.parts[0]
        raise ValueError(f"must name a place, {name} is no user's home; ./{name} is a folder here")
    return str(expanded)


def is_unicode(text: str) -> bool:
    """Whether a text can be written down: Python has other bytes of a name as lone surrogates."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _known_meta_classifiers(names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in META_CLASSIFIERS]
    if unknown or len(set(names)) < len(names):
        raise ValueError(f"must be different names out of {', '.join(META_CLASSIFIERS)}")
    return names


def seeds_given(value: Any) -> Any:
    """`none`, or a list of seeds, of one or of several as text."""
    if isinstance(value, str) and _says_none(value):
        return "none"
    return [value] if isinstance(value, int) else _split_names(value)


def _none_or_names(value: Any) -> Any:
    return "none" if isinstance(value, str) and _says_none(value) else _split_names(value)


def _none_or_itself(value: Any) -> Any:
    return "none" if isinstance(value, str) and _says_none(value) else value


def _says_none(text: str) -> bool:
    return text.strip().lower() == "none"


def _known_reports(names: list[str]) -> list[str]:
    if names != ["tensorboard"]:
        raise ValueError("must be none or tensorboard")
    return names


def _different(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("must be different seeds")
    return seeds


def _near_or_off(value: float) -> float:
    # Below one half, functions that merely share their habits would count as the same.
    if value and not value > 0.5:
        raise ValueError("must be 0 (off), or above 0.5 and at most 1")
    return value


def is_empty(value: Any) -> bool:
    """Whether nothing was given: None, blank text, or a list without items or with such an item."""
    if isinstance(value, (list, tuple)):
        return not value or any(map(_is_blank, value))
    return _is_blank(value)


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


Whole = Annotated[int, BeforeValidator(_refuse_bool)]
Real = Annotated[float, BeforeValidator(_refuse_bool), Field(allow_inf_nan=False)]
Similarity = Annotated[Real, Field(le=1), AfterValidator(_near_or_off)]
PathText = Annotated[str, BeforeValidator(_path_text)]
ModelNames = Annotated[list[PathText], BeforeValidator(_split_names), Field(min_length=1)]
MetaClassifiers = Annotated[
    list[str],
    BeforeValidator(_split_names),
    AfterValidator(_known_meta_classifiers),
    Field(min_length=1),
]
Subset = Literal["all", "paper"] | Annotated[Whole, Field(ge=1)]
_Seed = Annotated[int, BeforeValidator(_refuse_bool), Field(ge=0, lt=2**32)]
_SeedList = Annotated[list[_Seed], AfterValidator(_different), Field(min_length=1)]
Seeds = Annotated[Literal["none"] | _SeedList, BeforeValidator(seeds_given)]
_Reports = Annotated[list[str], AfterValidator(_known_reports)]
ReportTo = Annotated[Literal["none"] | _Reports, BeforeValidator(_none_or_names)]
Hours = Annotated[Literal["none"] | Annotated[Real, Field(gt=0)], BeforeValidator(_none_or_itself)]
Workers = Literal["auto"] | Annotated[Whole, Field(ge=0, le=64)]


def lower_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with their keys in lower case; ValueError for one that is given twice."""
    lowered: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).lower()
        if name in lowered:
            raise ValueError(f"{name} must be given once, found it twice (as {key} too)")
        lowered[name] = value
    return lowered
