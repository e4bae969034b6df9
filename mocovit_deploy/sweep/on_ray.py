"""Run the networks of a sweep on the machines of a Ray cluster, one on each processor core that Ray has.

All machines must share the folder of the sweep, and have this package installed. If a machine dies, its
network is run again on another, up to `TRIES` times. If it is lost even then, the result of its rows is a
failure, and the next sweep runs them again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mocovit_deploy.errors import DeviceError, first_line
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.sweep.row import Row, RowResult, failure_of
from mocovit_deploy.sweep.run import Runner, groups_of, run_group

TRIES = 3


def on_ray(address: str) -> Runner:
    """A runner on the cluster at `address`; "auto" for the cluster of this machine.

    Raises `MissingToolError` without Ray. The runner raises `DeviceError` if there is no cluster.
    """
    ray = needs_extra("ray", "ray")

    def runner(rows: Sequence[Row], folder: Path) -> Iterator[RowResult]:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # noqa: BLE001 - Ray raises many types of errors without a cluster
            raise DeviceError(f"{address}: no Ray cluster there ({first_line(error)})") from None
        try:
            yield from _run(ray, rows, folder.absolute())
        finally:
            ray.shutdown()

    return runner


def _run(ray: Any, rows: Sequence[Row], folder: Path) -> Iterator[RowResult]:
    task = ray.remote(max_retries=TRIES)(_group)
    groups = groups_of(rows)
    waiting = {task.remote([dataclasses.astuple(row) for row in one], str(folder)): one for one in groups}
    while waiting:
        (done, *_), _ = ray.wait(list(waiting), num_returns=1)
        group = waiting.pop(done)
        try:
            yield from (RowResult(**one) for one in ray.get(done))
        except ray.exceptions.RayError as error:
            lost = f"lost {TRIES} times: {first_line(error)}"
            yield from (failure_of(row, DeviceError.exit_status, lost) for row in group)


def _group(rows: list[tuple[Any, ...]], folder: str) -> list[dict[str, Any]]:
    """Run a group, on a worker.

    Rows and results are passed as plain tuples and dictionaries; Ray sends no classes of this package.
    """
    return [dataclasses.asdict(one) for one in run_group([Row(*row) for row in rows], Path(folder))]
