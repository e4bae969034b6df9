"""Numbers for people, with no more digits than are known."""

from __future__ import annotations

import math

MOST_DIGITS = 5
"""The most digits of a figure, however narrow its interval is."""
SMALLEST = 1e-6
"""Figures below it are written with an exponent."""


def figure(value: float) -> str:
    """Three digits, or a whole number.

    >>> figure(0.3333), figure(1234.5)
    ('0.333', '1,234')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def rough(value: float) -> str:
    """A measured amount whose interval is not known, to two digits.

    >>> rough(0.5882), rough(207.3), rough(41.32)
    ('0.59', '210', '41')
    """
    return f"{float(f'{value:.1e}'):,.6g}"


def share(part: float, whole: float, *, digits: int = 1) -> str:
    """`part` of `whole` in per cent; a part above 0 is never written as 0.

    >>> share(1, 8), share(1, 8, digits=0), share(1, 80000), share(0, 8)
    ('12.5 %', '12 %', '<0.1 %', '0.0 %')
    """
    least = 10.0**-digits
    percent = 100 * part / whole if whole else 0.0
    return f"<{least:g} %" if 0 < percent < least / 2 else f"{percent:.{digits}f} %"


def within(value: float, low: float, high: float) -> str:
    """`value` rounded to the first digit of the interval's width.

    >>> within(7.1234, 7.05, 7.20), within(7.1234, 7.1230, 7.1251), within(1234.5, 1200.0, 1300.0)
    ('7.1', '7.123', '1,200')
    """
    return _to_place(value, _place(low, high)) if abs(value) >= SMALLEST else figure(value)


def between(low: float, high: float) -> str:
    """Both ends of an interval, rounded outwards to the first digit of its width.

    >>> between(7.0512, 7.2031), between(1.2, 1.4)
    ('7.0 to 7.3', '1.2 to 1.4')
    """
    if max(abs(low), abs(high)) < SMALLEST:
        return f"{figure(low)} to {figure(high)}"
    return _ends(low, high, _place(low, high))


def beyond(low: float, high: float, bar: float) -> str:
    """As `between`, with more digits if the lower end is above `bar` and would be rounded down to it.

    >>> beyond(1.04, 1.28, 1.0), beyond(1.13, 1.38, 1.0)
    ('1.04 to 1.28', '1.1 to 1.4')
    """
    place = _place(low, high)
    while low > bar and math.floor(low / 10.0**place + 1e-6) * 10.0**place <= bar:
        place -= 1
    return _ends(low, high, place)


def signed(value: float, low: float, high: float) -> str:
    """A difference to the digit of its interval's width, with its sign.

    >>> signed(0.31, -1.06, 1.06), signed(0.31, 0.252, 0.378), signed(-1.6, -2.9, -0.4)
    ('0', '+0.3', '-2')
    """
    said = _to_place(value, _place(low, high))
    return "0" if not said.strip("-0.") else said if said.startswith("-") else f"+{said}"


def signed_between(low: float, high: float) -> str:
    """Both ends of a difference's interval, rounded outwards to two digits of its width.

    >>> signed_between(-1.063, 1.063), signed_between(0.252, 0.378)
    ('-1.1 to +1.1', '+0.25 to +0.38')
    """
    place = _place(low, high) - 1
    unit = 10.0**place
    ends = (math.floor(low / unit + 1e-6) * unit, math.ceil(high / unit - 1e-6) * unit)
    return " to ".join(f"{end + 0.0:+,.{max(0, -place)}f}" for end in ends)


def _place(low: float, high: float) -> int:
    """The power of ten of the first digit of the width, but not beyond `MOST_DIGITS` digits."""
    largest = max(abs(low), abs(high))
    finest = math.floor(math.log10(largest)) - MOST_DIGITS + 1 if largest else 0
    width = high - low
    return max(finest, math.floor(math.log10(width) + 1e-9)) if width > 0 else finest


def _ends(low: float, high: float, place: int) -> str:
    """Both ends of an interval, rounded outwards to 10 to the power `place`."""
    unit = 10.0**place
    lowest = math.floor(low / unit + 1e-6) * unit
    highest = math.ceil(high / unit - 1e-6) * unit
    return f"{_to_place(lowest, place)} to {_to_place(highest, place)}"


def _to_place(value: float, place: int) -> str:
    unit = 10.0**place
    return f"{round(value / unit) * unit:,.{max(0, -place)}f}"
