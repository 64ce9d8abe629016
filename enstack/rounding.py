"""Rounding for people that never turns a part into all or nothing: 99.96 % is no 100 %."""

from __future__ import annotations

__all__ = ["decimal", "percent"]


def percent(value: float, digits: int = 1) -> str:
    """A share in percent: "12.3 %"; "<0.1 %" and ">99.9 %" where rounding would say none or all."""
    return _rounded(100 * value, digits, 100, " %")


def decimal(value: float, digits: int = 3) -> str:
    """A figure whose ends are 0 and 1: "0.123"; "<0.001" and ">0.999" next to them."""
    return _rounded(value, digits, 1, "")


def _rounded(value: float, digits: int, whole: int, unit: str) -> str:
    text, step = f"{value:.{digits}f}", 10.0**-digits
    for end in (0, whole, -whole):
        if value != end and float(text) == end and abs(value) < whole:
            # Beside the end, on the side where the value is.
            sign, beside = (">", end - step) if value < end else ("<", end + step)
            return f"{sign}{beside:.{digits}f}{unit}"
    return f"{text}{unit}"
