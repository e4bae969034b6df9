"""HTML and SVG elements as text. Every string that is not `Html` is escaped, so no name becomes markup.

An f-string of two `Html` is a plain string, so it is escaped when it is put into an element. A mistake is
thus visible as tags on the page, and never injects markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from mocovit_deploy.terminal.printable import printable

ALONE = ("meta", "br", "wbr")
"""Elements of HTML without an end tag."""
_BREAKS = re.compile(r"(?<=\w)([_./])(?=\w)")


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def text(words: str) -> Html:
    r"""`words` escaped; unprintable characters are shown as their escapes. `Html` stays unchanged.

    >>> text("<b>\x00")
    '&lt;b&gt;\\x00'
    """
    return words if isinstance(words, Html) else Html(escape(printable(words, keep="\n")))


def breakable(words: str) -> Html:
    """`words` escaped, with line breaks allowed only after `_`, `.` and `/`.

    >>> breakable("net_224.onnx")
    'net_<wbr>224.<wbr>onnx'
    """
    return words if isinstance(words, Html) else Html(_BREAKS.sub(r"\1<wbr>", text(words)))


def join(parts: Iterable[str]) -> Html:
    """All parts, one after the other, escaped unless they are `Html`."""
    return Html("".join(map(text, parts)))


def tag(kind: str, /, *children: str, **attributes: str | None) -> Html:
    """An element. `class_` is the attribute class; attributes that are None are left out.

    >>> tag("a", "<file>", href="#one", class_="x")
    '<a href="#one" class="x">&lt;file&gt;</a>'
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if kind in ALONE:
        return Html(f"<{kind}{said}>")
    return Html(f"<{kind}{said}>{join(children)}</{kind}>")


def table(
    header: Iterable[str],
    rows: Iterable[Iterable[str]],
    *,
    numbers: Iterable[int] = (),
    stacked: bool = False,
) -> Html:
    """A table that scrolls by itself on a narrow page; columns in `numbers` are aligned to the right.

    With `stacked`, each row becomes a few lines on a narrow page, with its first cell, a name, above the
    others.
    """
    titles, right = tuple(header), set(numbers)

    def cell(kind: str, n: int, words: str) -> Html:
        beside = titles[n] if stacked and kind == "td" and n and titles[n] else None
        words = breakable(words) if stacked and kind == "td" and n == 0 else words
        return tag(kind, words, class_="number" if n in right else None, data_title=beside)

    def row(kind: str, words: Iterable[str]) -> Html:
        return tag("tr", join(cell(kind, n, one) for n, one in enumerate(words)))

    body = tag("tbody", join(row("td", one) for one in rows))
    whole = tag("table", tag("thead", row("th", titles)), body, class_="stacked" if stacked else None)
    return tag("div", whole, class_="scroll")


def note(words: str, *, kind: str = "") -> Html:
    """A highlighted remark; `kind` is "bad" for something wrong, "good" for a conclusion."""
    return tag("div", words, class_=f"note {kind}".strip())


def figures(found: Iterable[tuple[str, str]]) -> Html:
    """Large figures in a row, each above its name."""
    return tag(
        "div",
        join(tag("div", tag("b", big), tag("span", small), class_="figure") for big, small in found),
        class_="figures",
    )


def drawing(picture: str, caption: str) -> Html:
    """A picture with a caption below it."""
    return tag("figure", picture, tag("figcaption", caption))


def listed(lines: Iterable[str]) -> Html:
    """Many short lines, in two columns if the page is wide enough."""
    return tag("ul", join(tag("li", breakable(one)) for one in lines), class_="lines")


def folded(title: str, body: str) -> Html:
    """A part that a reader can open: closed on the screen, open on paper."""
    return tag("details", tag("summary", title), body)
