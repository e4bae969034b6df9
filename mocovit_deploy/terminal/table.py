"""Tables as plain text and as Markdown, and short texts for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell. A column of numbers is aligned to the right, with its title.

    >>> print(table(("file", "ms"), [("a.onnx", "9.5"), ("b.tflite", "11.7")]))
    file        ms
    --------  ----
    a.onnx     9.5
    b.tflite  11.7
    """
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [all(cell[:1].isdigit() or cell == "-" for cell in column[1:]) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])


def megabytes(size_bytes: int) -> str:
    """A size for people: in megabytes (10^6 bytes), a small one in kilobytes.

    >>> megabytes(21_234_567), megabytes(2_140)
    ('21.2 MB', '2.1 kB')
    """
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 95_000 else f"{size_bytes / 1e3:.1f} kB"


def shortened(names: Sequence[str], most: int) -> str:
    """The first `most` names, and how many more there are.

    >>> shortened(["stem", "head", "pool"], 2), shortened(["stem"], 2)
    ('stem, head and 1 more', 'stem')
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> str:
    """A table in Markdown. No cell may hold a vertical bar. `numbers` aligns all columns but the first right.

    >>> print(markdown_table(("file", "ms"), [("a.onnx", "9.5")], numbers=True))
    | file | ms |
    | --- | --: |
    | a.onnx | 9.5 |
    """
    lines = [header, ["---", *["--:" if numbers else "---"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
