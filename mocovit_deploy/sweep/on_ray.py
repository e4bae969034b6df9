"""Rows of a sweep on the machines of a Ray cluster, one on each processor core that Ray has.

The folder of the sweep must be one that all machines see, with this package installed on each. A row on a
machine that dies is run again on another, up to `TRIES` times; one that is lost even then is a failure that
the next sweep tries again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mocovit_deploy.errors import DeviceError, first_line
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.sweep.row import Row, RowResult, result_of
from mocovit_deploy.sweep.run import Runner, run_row

TRIES = 3


def on_ray(address: str) -> Runner:
    """A runner on the cluster at `address`, "auto" for the one of this machine.

    Raises `MissingToolError` without Ray, when it is called; the runner raises `DeviceError` where there is
    no cluster.
    """
    ray = needs_extra("ray", "ray")

    def runner(rows: Sequence[Row], folder: Path) -> Iterator[RowResult]:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # noqa: BLE001 - Ray has no one error for "no cluster there"
            raise DeviceError(f"{address}: no Ray cluster there ({first_line(error)})") from None
        try:
            yield from _run(ray, rows, folder.absolute())
        finally:
            ray.shutdown()

    return runner


def _run(ray: Any, rows: Sequence[Row], folder: Path) -> Iterator[RowResult]:
    task = ray.remote(max_retries=TRIES)(_row)
    waiting = {task.remote(dataclasses.astuple(row), str(folder)): row for row in rows}
    while waiting:
        (done, *_), _ = ray.wait(list(waiting), num_returns=1)
        row = waiting.pop(done)
        try:
            yield RowResult(**ray.get(done))
        except ray.exceptions.RayError as error:
            lost = {"error": f"lost {TRIES} times: {first_line(error)}"}
            yield result_of(row, DeviceError.exit_status, lost, None)


def _row(row: tuple[Any, ...], folder: str) -> dict[str, Any]:
    """On a worker: plain data in and out, so that the versions of both sides need not be the same object."""
    return dataclasses.asdict(run_row(Row(*row), Path(folder)))
