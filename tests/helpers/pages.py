"""Is a page whole and alone? A parser that fails for what is not closed, and for what must not be there."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

_ALONE = {"meta", "br", "wbr"}
_BLOCKS = {"p", "div", "table", "ul", "figure", "section", "details", "h1", "h2", "h3"}


class _Balanced(HTMLParser):
    """Fails for an element that is not closed, or closed by another's end; keeps attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        self.seen.append(tag)
        assert "p" not in self.open or tag not in _BLOCKS, f"a browser would end the paragraph before <{tag}>"
        if tag not in _ALONE:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def require_whole_page(text: str) -> None:
    """Every element closed, every drawing XML, every link within the page, and nothing from elsewhere."""
    found = _Balanced()
    found.feed(text)
    assert found.open == []
    assert not {"script", "link", "img", "iframe", "object"} & set(found.seen)
    named = {value for name, value in found.attributes if name == "id"}
    linked = {value for name, value in found.attributes if name == "href"}
    assert linked <= {f"#{name}" for name in named}
    assert not [name for name, _ in found.attributes if name in ("src", "srcset") or name.startswith("on")]
    for outside in ("url(", "@import", "http:", "https:"):
        assert outside not in text
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        require_no_cut_label(drawing)


def require_no_cut_label(text: str) -> None:
    """Every word lies within the drawing, with the large letters of a narrow page: 14 units, 0.6 as wide."""
    drawing = ElementTree.fromstring(text)  # noqa: S314 - our own output
    _, _, width, height = map(float, drawing.attrib["viewBox"].split())
    for label in drawing.iter("text"):
        x, y, long = float(label.attrib["x"]), float(label.attrib["y"]), 8.4 * len(label.text or "")
        left = x - {"start": 0.0, "middle": long / 2, "end": long}[label.attrib["text-anchor"]]
        assert left >= 0, f"{label.text!r} is cut on the left"
        assert left + long <= width, f"{label.text!r} is cut on the right"
        assert 10 <= y <= height - 2, f"{label.text!r} is cut above or below"
