"""The page around all parts: one file with its own style, without scripts and without files from
elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mocovit_deploy.report.markup import Html, breakable, join, tag, text
from mocovit_deploy.report.style import CSS

LEAST_LINKED = 3
"""The number of parts from which a page gets a list of links to them."""


@dataclass(frozen=True)
class Part:
    """A part of a page, under its heading; `anchor` is its name in links."""

    anchor: str
    title: str
    body: Html
    listed: bool = True
    """Whether it is in the list of links; False if something else on the page links to it."""


def page(title: str, lead: Html, parts: Sequence[Part]) -> str:
    """The whole document: `title`, `lead`, which is read first, links to the parts, and the parts."""
    linked = len(parts) >= LEAST_LINKED
    listed = [part for part in parts if part.listed]
    head = join(
        (
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", title),
            tag("style", Html(CSS)),
        )
    )
    links = tag("nav", join(tag("a", part.title, href=f"#{part.anchor}") for part in listed))
    body = join(
        (
            tag("h1", title, id="top"),
            lead,
            links if linked and listed else "",
            *(_section(part, linked=linked) for part in parts),
        )
    )
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def _section(part: Part, *, linked: bool) -> Html:
    back = tag("a", "up", href="#top", class_="top") if linked else text("")
    return tag("section", tag("h2", back, breakable(part.title)), part.body, id=part.anchor)
