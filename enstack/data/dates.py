"""Dates as files of this field write them: ISO, git's own forms, and seconds since 1970."""

from __future__ import annotations

import contextlib
import email.utils
import re
from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np

__all__ = ["as_day", "seconds_of"]

EARLIEST, LATEST = 10**8, 10**11  # from 1973 on: a smaller number is a day, as in 20190304
NO_DAY = re.compile(r"\d{4}(-\d\d)?", re.ASCII)
GIT = "%a %b %d %H:%M:%S %Y"  # git log without an option; a zone may follow


def seconds_of(dates: Iterable[str | None]) -> np.ndarray:
    """Seconds since 1970 (n,) float64; NaN where there is no date, or none that has one meaning.

    "03/04/2019" is such a one: day and month could be either.
    """
    known: dict[str | None, float] = {None: np.nan}
    listed = list(dates)
    for date in listed:
        if date is not None and date not in known:
            known[date] = _seconds(date.strip())
    return np.array([known[date] for date in listed], dtype=np.float64)


def as_day(seconds: float) -> str:
    """The day, as in 2019-03-04."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _seconds(date: str) -> float:
    with contextlib.suppress(ValueError, OverflowError):
        number = float(date)
        if EARLIEST <= number < LATEST:
            return number
    if NO_DAY.fullmatch(date):
        date += "-01-01"[: 3 * (2 - date.count("-"))]
    for parse in (datetime.fromisoformat, _of_mail, _of_git):
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            found = parse(date)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return np.nan


def _of_mail(date: str) -> datetime:
    return email.utils.parsedate_to_datetime(date)


def _of_git(date: str) -> datetime:
    with contextlib.suppress(ValueError):
        return datetime.strptime(date, f"{GIT} %z")
    return datetime.strptime(date, GIT).replace(tzinfo=UTC)
