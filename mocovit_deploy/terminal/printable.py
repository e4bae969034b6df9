"""Text that came out of a file, made safe for a terminal.

A name inside a file may hold escape sequences that move the cursor or change the window's title, a newline
that fakes a line of this program, or marks that reverse the reading direction. Each such character is shown
as its escape.
"""

from __future__ import annotations


def printable(text: object, keep: str = "") -> str:
    r"""`str(text)` with every unprintable character shown as its escape, except those in `keep`.

    >>> print(printable("evil\x1b[2Jname"))
    evil\x1b[2Jname
    """
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode("ascii")
        for one in str(text)
    )
