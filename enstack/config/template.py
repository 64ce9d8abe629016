"""A commented configuration to start from: every setting with its meaning and default."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from enstack.config.defaults import DEFAULT_RULES
from enstack.config.names import home_expanded
from enstack.config.settings import Settings
from enstack.config.values import is_unicode
from enstack.errors import ConfigError

HEAD = """\
# Settings of an enstack run: `enstack run {name}`.
# data_dir is set, to made-up data: write your own folder there. Take the # off
# any other line to set it; a line left as it is means the default.

"""
WIDTH = 80
SET = ("data_dir",)  # a file that sets nothing is refused


def write_template(path: str | Path) -> Path:
    """Write a configuration that sets the data alone, the toy data; returns its path.

    Raises ConfigError where there is a file already, or none can be.
    """
    file = home_expanded(path)
    if file.suffix.lower() not in (".yaml", ".yml"):
        raise ConfigError(f"A commented configuration must be a .yaml or .yml file, found {file}.")
    if not is_unicode(file.name):
        raise ConfigError(f"A configuration must have a name in UTF-8, found {file}.")
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(template_text(file.name))
    except FileExistsError:
        raise ConfigError(f"{file} is there already, and is kept: name another file.") from None
    except OSError as error:
        raise ConfigError(f"{file} can't be written: {error.strerror or error}.") from None
    return file


def template_text(name: str) -> str:
    """The file's text; loading it gives the defaults, of which it sets data_dir."""
    return HEAD.format(name=name) + "\n".join(map(_entry, Settings.model_fields))


def _entry(key: str) -> str:
    field = Settings.model_fields[key]
    meaning = textwrap.wrap(str(field.description).replace("`", ""), WIDTH - 2)
    if key in DEFAULT_RULES:
        # Written out it would not follow the settings that it comes from.
        meaning.append(f"default: {DEFAULT_RULES[key].replace('`', '')}")
    comment = "\n".join(f"# {line}" for line in meaning)
    return f"{comment}\n{'' if key in SET else '#'}{key}: {_default(key)}\n"


def _default(key: str) -> str:
    """The default as YAML; nothing where it depends on other settings."""
    if key in DEFAULT_RULES:
        return ""
    value: Any = Settings.model_fields[key].get_default(call_default_factory=True)
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    return value if isinstance(value, str) else json.dumps(value)
