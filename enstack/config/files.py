"""A configuration in a YAML or JSON file, with KEY=VALUE settings over it."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from enstack.config.run_config import RunConfig
from enstack.config.values import lower_keys
from enstack.config.yaml_text import YAMLError, once_each, read_yaml
from enstack.errors import ConfigError

# UTF-32 first: its mark begins with UTF-16's.
OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def load_config(path: Path, overrides: Iterable[str] = ()) -> RunConfig:
    """Read a YAML or JSON file, let `KEY=VALUE` settings overrule it, and check the result."""
    try:
        values = lower_keys(_read_mapping(path))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}.") from None
    values |= parse_overrides(overrides)
    # Saved by mistake, or with each line left a comment: nobody asked for a run on toy data.
    if not values:
        raise ConfigError(
            f"A configuration must name a setting, {path} names none. Name data_dir in it "
            "(data_dir: toy for the made-up data); `enstack init` writes all settings, commented."
        )
    return RunConfig(**values)


def parse_overrides(settings: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` settings as a dictionary: keys in either case, values as they were typed."""
    pairs = [_pair(setting) for setting in settings]
    try:
        return lower_keys(once_each(pairs))
    except ValueError as error:
        raise ConfigError(f"The settings are wrong: {error}.") from None


def _pair(setting: str) -> tuple[str, str]:
    key, separator, text = setting.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"A setting must look like KEY=VALUE, found {setting!r}.")
    # Not as YAML: that would make nothing of "# x", and a dictionary of "a: b".
    return key.strip(), _unquoted(text.strip())


def _unquoted(text: str) -> str:
    """Text without quotes around the whole of it, which no shell has taken off."""
    quote = text[:1]
    quoted = quote in ("'", '"') and text.endswith(quote) and text.count(quote) == 2
    return text[1:-1] if quoted else text


def _read_mapping(path: Path) -> dict[str, Any]:
    """The settings in a file, unchecked; ValueError for a key that stands there twice."""
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise ConfigError(f"A configuration must be a .yaml, .yml or .json file, found {path}.")
    text = _read_text(path)
    # YAML takes it so, JSON has no word for it.
    if not text.strip():
        return {}
    is_json = path.suffix.lower() == ".json"
    try:
        values = json.loads(text, object_pairs_hook=once_each) if is_json else read_yaml(text)
    # JSON's errors are ValueErrors, YAML's are not.
    except (json.JSONDecodeError, YAMLError, RecursionError) as error:
        reason = " ".join(str(error).replace(' in "<unicode string>",', " in").split())
        if "'\\t'" in reason:
            reason += " Write spaces in the place of tabs"
        raise ConfigError(f"The configuration {path} is not valid: {reason}.") from None
    # A file that is empty, or comments alone.
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"A configuration must hold KEY: VALUE lines, {path} holds a {type(values).__name__}."
        )
    return values


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"The configuration {path} can't be read: {error.strerror}.") from None
    try:
        # Editors on Windows put a byte-order mark before UTF-8 too.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = None
    # UTF-16 without its mark is read as UTF-8 with zeros in between.
    if text is None or "\0" in text:
        marks = (name for mark, name in OTHER_ENCODINGS.items() if content.startswith(mark))
        raise ConfigError(
            f"A configuration must be text in UTF-8, {path} is {next(marks, 'in another encoding')}"
            ": save it again as UTF-8."
        )
    return text
