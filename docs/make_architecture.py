"""Write docs/architecture.svg and the table of docs/architecture.md from the import graph.

A room is a package or a single module directly inside one of the three top-level packages. An arrow leads
from a room to one that it imports. The picture leaves out arrows that follow from others (a path of other
arrows leads to the same room); the table has them all. Imports that only type checkers see do not count. A
test compares both files with the imports.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

import grimp

PACKAGES = ("exporters", "mocovit_deploy", "benchmarks")
HERE = Path(__file__).parent
BEGIN, END = "<!-- rooms: made by `make docs` -->\n", "<!-- end of rooms -->\n"

Graph = Mapping[str, frozenset[str]]

ROW, BOX, MARGIN = 74, 30, 24
LANES = {"exporters": (20, 250), "mocovit_deploy": (290, 830), "benchmarks": (870, 1180)}
WIDTH = 1200
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1c2733 } .lane { font-weight: 600; font-size: 14px }
rect { rx: 6px; stroke-width: 1px } path { fill: none; stroke: #8795a5; stroke-width: 1.1px }
.exporters { fill: #fdf1dc; stroke: #c98a1b } .mocovit_deploy { fill: #e4effb; stroke: #3a7bbf }
.benchmarks { fill: #e6f5e9; stroke: #3d9152 } #back { fill: #fff; stroke: none }
@media (prefers-color-scheme: dark) {
  text { fill: #dfe7ef } #back { fill: #14191f } path { stroke: #66788a }
  .exporters { fill: #3b2f17 } .mocovit_deploy { fill: #17304a } .benchmarks { fill: #17371f }
}
"""


def rooms() -> dict[str, frozenset[str]]:
    """By room: the rooms that it imports."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True)
    found: dict[str, set[str]] = {}
    for module in graph.modules:
        room = room_of(module)
        if room is None:
            continue
        here = found.setdefault(room, set())
        for imported in graph.find_modules_directly_imported_by(module):
            other = room_of(imported)
            if other is not None and other != room:
                here.add(other)
    return {room: frozenset(imported) for room, imported in sorted(found.items())}


def room_of(module: str) -> str | None:
    """ "mocovit_deploy.graph" for "mocovit_deploy.graph.capture"; None for packages, `__main__`."""
    parts = module.split(".")
    return ".".join(parts[:2]) if len(parts) > 1 and parts[1] != "__main__" else None


def essential(graph: Graph) -> dict[str, frozenset[str]]:
    """The arrows that do not follow from others: the transitive reduction of an acyclic graph."""

    def reachable(room: str) -> set[str]:
        return set(graph[room]).union(*(reachable(other) for other in graph[room]), set())

    return {
        room: frozenset(one for one in imported if not any(one in reachable(other) for other in imported))
        for room, imported in graph.items()
    }


def levels(graph: Graph) -> dict[str, int]:
    """By room: the length of the longest path of imports from it, 0 for a room that imports nothing."""
    found: dict[str, int] = {}

    def level(room: str) -> int:
        if room not in found:
            found[room] = max((level(other) + 1 for other in graph[room]), default=0)
        return found[room]

    for room in graph:
        level(room)
    return found


def circle(graph: Graph) -> tuple[str, ...]:
    """Rooms that import each other in a circle; empty if there are none."""
    done: set[str] = set()

    def walk(room: str, path: tuple[str, ...]) -> tuple[str, ...]:
        if room in path:
            return (*path[path.index(room) :], room)
        if room in done:
            return ()
        for other in sorted(graph[room]):
            if found := walk(other, (*path, room)):
                return found
        done.add(room)
        return ()

    return next((found for room in graph if (found := walk(room, ()))), ())


def picture(graph: Graph) -> str:
    """The rooms as an SVG drawing: one column per package, each room above the rooms that it imports."""
    level = levels(graph)
    top = max(level.values())
    centre, half = {}, {}
    for package, (left, right) in LANES.items():
        for row in range(top + 1):
            here = [room for room in graph if level[room] == row and room.startswith(f"{package}.")]
            width = (right - left) / max(len(here), 1)
            for place, room in enumerate(here):
                centre[room] = (left + width * (place + 0.5), MARGIN + 36 + ROW * (top - row))
                half[room] = min(width / 2 - 4, 58)
    height = MARGIN * 2 + 36 + ROW * top + BOX
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Which room imports which">\n<style>{STYLE}</style>\n<rect id="back" width="{WIDTH}" '
        f'height="{height}"/>'
    )
    parts = [head]
    for package, (left, right) in LANES.items():
        parts.append(
            f'<text class="lane" x="{(left + right) / 2:g}" y="20" text-anchor="middle">{package}</text>'
        )
    for room, imported in essential(graph).items():
        for other in sorted(imported):
            (x0, y0), (x1, y1) = centre[room], centre[other]
            y0, bend = y0 + BOX / 2, (y1 - y0 - BOX) / 2
            parts.append(
                f'<path d="M{x0:g} {y0:g}C{x0:g} {y0 + bend:g} {x1:g} {y1 - BOX / 2 - bend:g} '
                f'{x1:g} {y1 - BOX / 2:g}"/>'
            )
    for room, (x, y) in centre.items():
        package, name = room.split(".")
        parts.append(
            f'<rect class="{package}" x="{x - half[room]:g}" y="{y - BOX / 2:g}" width="{2 * half[room]:g}" '
            f'height="{BOX}"/>\n<text x="{x:g}" y="{y + 4.5:g}" text-anchor="middle">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


def table(graph: Graph) -> str:
    """Every room and everything it imports, as Markdown."""
    level = levels(graph)
    lines = ["| room | imports |", "|---|---|"]
    for room in sorted(graph, key=lambda one: (one.split(".")[0], -level[one], one)):
        same = room.split(".")[0]
        names = [
            one.removeprefix(f"{same}.")
            for one in sorted(graph[room], key=lambda one: (one.split(".")[0] != same, one))
        ]
        lines.append(f"| `{room}` | {', '.join(names) or 'nothing'} |")
    arrows = sum(len(imported) for imported in graph.values())
    return "\n".join([f"{len(graph)} rooms, {arrows} arrows, no circle.", "", *lines]) + "\n"


def document(text: str, graph: Graph) -> str:
    """`text` of docs/architecture.md with a new table. Raises `ValueError` for a circle of rooms."""
    if found := circle(graph):
        raise ValueError(f"rooms import each other: {' -> '.join(found)}")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table(graph)}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Write both files."""
    graph = rooms()
    path = HERE / "architecture.md"
    path.write_text(document(path.read_text(), graph))
    (HERE / "architecture.svg").write_text(picture(graph))


if __name__ == "__main__":
    main()
