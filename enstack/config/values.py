"""The kinds of values that settings take, and keys in either case."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from enstack.config.names import META_CLASSIFIERS, home_expanded


def _refuse_bool(value: Any) -> Any:
    # To Python True is the number 1, and EPOCHS = True would train one epoch.
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _split_names(value: Any) -> Any:
    """`a,b` on a command line means a list of two names."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return value


def _path_text(value: Any) -> Any:
    """A path as text: pydantic takes no Path for it, and only a shell knows what ~ means."""
    return str(home_expanded(value)) if isinstance(value, Path) or str(value)[:1] == "~" else value


def _known_meta_classifiers(names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in META_CLASSIFIERS]
    if unknown or len(set(names)) < len(names):
        raise ValueError(f"must be different names out of {', '.join(META_CLASSIFIERS)}")
    return names


Whole = Annotated[int, BeforeValidator(_refuse_bool)]
Real = Annotated[float, BeforeValidator(_refuse_bool), Field(allow_inf_nan=False)]
PathText = Annotated[str, BeforeValidator(_path_text)]
ModelNames = Annotated[list[PathText], BeforeValidator(_split_names), Field(min_length=1)]
MetaClassifiers = Annotated[
    list[str],
    BeforeValidator(_split_names),
    AfterValidator(_known_meta_classifiers),
    Field(min_length=1),
]
Subset = Literal["all", "paper"] | Annotated[Whole, Field(ge=1)]
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
