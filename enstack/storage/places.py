"""Which folder may be a run's own: none that the system, the code or others need."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from enstack.errors import ConfigError

# Neither these nor anything below them.
SYSTEM = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin",
    "/snap", "/sys", "/usr", "/var/backups", "/var/cache", "/var/lib", "/var/log", "/var/mail",
    "/var/run", "/var/spool",
)  # fmt: skip
# What users may write to, though it lies below one of those.
USERS_OWN = ("/dev/shm", "/run/media", "/run/user", "/usr/local")
# These alone: what lies below them may be a user's.
SHARED = (
    "/", "/content", "/content/drive", "/content/drive/MyDrive", "/content/drive/Shareddrives",
    "/home", "/kaggle", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/usr/local/bin",
    "/usr/local/etc", "/usr/local/include", "/usr/local/lib", "/usr/local/sbin", "/usr/local/share",
    "/usr/local/src", "/var", "/var/local", "/var/opt", "/var/tmp", *USERS_OWN,
)  # fmt: skip
SHARED_IN_HOME = ("", ".cache", ".config", ".local", ".local/bin", ".local/lib", ".local/share")
KEYS_IN_HOME = (".gnupg", ".ssh")  # neither these nor anything below them
PACKAGE = Path(__file__).resolve().parents[1]


def require_own_place(folder: Path, setting: str, others: Mapping[str, Path] | None = None) -> None:
    """Raise ConfigError for a folder that must not be filled, and later cleared, by a run.

    others: by their settings, places that must neither be this folder nor lie in it.
    """
    place = folder.resolve()
    whose = _whose(place) or _holds(place, others or {})
    if whose is None:
        return
    # Beside what it is, and not in it: a run's folder holds nothing that a run clears.
    taken = place in [other.resolve() for other in (others or {}).values()]
    proposal = _proposal(place.parent if taken else place, setting)
    led_to = "" if folder == place else f"{place}, "
    raise ConfigError(
        f"{setting} must be a folder of its own; {folder} is {led_to}{whose}. Name a folder of its "
        f"own within a place where you may write, such as {setting}={proposal}."
    )


def _whose(place: Path) -> str | None:
    """Who needs a folder for something else; None where nobody is known to."""
    if place in (PACKAGE, PACKAGE.parent) or PACKAGE in place.parents:
        return "the folder of the program's code"
    if place in _shared_by_users() or place.parent == Path("/home"):
        return "a folder that holds what others need"
    within = {str(place), *map(str, place.parents)}
    if within & {str((Path.home() / name).resolve()) for name in KEYS_IN_HOME}:
        return "where keys are kept"
    if within & set(SYSTEM) and not within & set(USERS_OWN):
        return "a folder of the system"
    return None


def _shared_by_users() -> set[Path]:
    home = Path.home()
    return {Path(path) for path in SHARED} | {(home / path).resolve() for path in SHARED_IN_HOME}


def _holds(place: Path, others: Mapping[str, Path]) -> str | None:
    for name, other in others.items():
        inner = other.resolve()
        if place == inner or place in inner.parents:
            return f"{name}, or holds it ({other})"
    return None


def _proposal(place: Path, setting: str) -> Path:
    """A folder that would be taken, where a user is likely to be allowed to write."""
    within = place if place != Path("/") and os.access(place, os.W_OK) else Path.home()
    proposed = within / f"enstack_{setting}"
    return proposed if _whose(proposed) is None else Path.home() / proposed.name
