"""The results of a sweep as a table: text, CSV and JSON. The same results give the same bytes."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence

from mocovit_deploy.report.digits import figure
from mocovit_deploy.sweep.row import RowResult
from mocovit_deploy.terminal.table import megabytes, table

SCHEMA_VERSION = 1
HEADER = ("system", "format", "precision", "size", "max error", "SQNR", "lost, points", "ms", "verdict")
NOT_SHOWN = ("key", "sha256")
"""These stand in a row's own result alone. coremltools gives every package random identifiers: a second run
has another digest."""
FIELDS = tuple(field.name for field in dataclasses.fields(RowResult) if field.name not in NOT_SHOWN)


def as_text(results: Sequence[RowResult]) -> str:
    """A table with a line for each row, and the errors of failed rows. Empty columns are left out."""
    lines = [table(*known_columns(results))]
    lines += [f"{one.system} {one.format} {one.recipe}: {one.error}" for one in results if not one.passed]
    return "\n".join([lines[0], *([""] if lines[1:] else []), *lines[1:]])


def known_columns(results: Sequence[RowResult]) -> tuple[list[str], list[list[str]]]:
    """The header and the rows, without columns that have no value in any row."""
    rows = [cells(one) for one in results]
    known = [n for n in range(len(HEADER)) if any(row[n] != "-" for row in rows)]
    return [HEADER[n] for n in known], [[row[n] for n in known] for row in rows]


def cells(one: RowResult) -> tuple[str, ...]:
    """The cells of one row under `HEADER`."""
    return (
        one.system,
        one.format,
        one.recipe,
        "-" if one.size_bytes is None else megabytes(one.size_bytes),
        "-" if one.max_error is None else f"{one.max_error:.1e}",
        "-" if one.sqnr_db is None else f"{one.sqnr_db:.0f} dB",
        _lost(one),
        "-"
        if one.milliseconds is None
        else f"{figure(one.milliseconds)}{' modelled' if one.modelled else ''}",
        "pass" if one.passed else f"failed ({one.exit_status})",
    )


def _lost(one: RowResult) -> str:
    if one.drop_points is None or one.drop_high_points is None:
        return "-"
    return f"{one.drop_points:+.2f}, at most {one.drop_high_points:+.2f}"


def as_csv(results: Sequence[RowResult]) -> str:
    """Every field except the key, with a header. Unknown values are empty.

    Text that a spreadsheet would read as a formula gets an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    for one in results:
        values = [getattr(one, name) for name in FIELDS]
        writer.writerow([f"'{v}" if isinstance(v, str) and v[:1] in "=+-@\t" and v else v for v in values])
    return out.getvalue()


def as_json(results: Sequence[RowResult]) -> str:
    """A JSON document with every field of `FIELDS`."""
    rows = [{name: getattr(one, name) for name in FIELDS} for one in results]
    return json.dumps({"schema_version": SCHEMA_VERSION, "rows": rows}, indent=2, allow_nan=False) + "\n"
