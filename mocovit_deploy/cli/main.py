"""mocovit-export and mocovit-parity: arguments in, exit status out.

Modules are imported only when they are needed, so --help takes little longer than bare Python.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mocovit_deploy.cli.parsers import export_parser, parity_parser
from mocovit_deploy.cli.runner import require_posix, run_command
from mocovit_deploy.errors import UsageError


def _export(words: Sequence[str]) -> int:
    parser = export_parser()
    if any(word.partition("=")[0] == "--config" for word in words):
        from mocovit_deploy.cli.config import with_config

        words = with_config(parser, words)
    given = parser.parse_args(words)
    if given.config is not None:
        raise UsageError("write --config in full")
    if given.completion:
        from mocovit_deploy.cli.completion import VALUES
        from mocovit_deploy.terminal.completion import script

        sys.stdout.write(script(given.completion, (parser, parity_parser()), VALUES))
        return 0
    require_posix(parser.prog)
    if given.sweep is not None or given.ray is not None:
        return _sweep(parser, given)
    from mocovit_deploy.cli.requests import export_request, require_honoured

    require_honoured(given)
    request = export_request(given)
    if given.summary:
        from mocovit_deploy.cli.summary import run_summary

        return run_summary(request, as_json=given.json, verbose=given.verbose)
    from mocovit_deploy.cli.export import run_export
    from mocovit_deploy.report.request import ReportRequest

    report = ReportRequest(given.report, given.card, given.measure, tuple(words))
    return run_export(request, report, as_json=given.json, verbose=given.verbose)


def _sweep(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    if given.sweep is None:
        raise UsageError("--ray runs a --sweep; give --sweep too, or leave --ray out")
    said = {name for name, value in vars(given).items() if value != parser.get_default(name)}
    if others := sorted(said - {"sweep", "ray", "output_dir", "json", "verbose"}):
        raise UsageError(f"--{others[0].replace('_', '-')} goes into the file of --sweep; leave it out here")
    from mocovit_deploy.cli.sweep import run_sweep_file

    folder = given.output_dir or Path("build", "sweep")
    return run_sweep_file(parser, given.sweep, folder, ray=given.ray, as_json_report=given.json)


def _parity(words: Sequence[str]) -> int:
    parser = parity_parser()
    given = parser.parse_args(words)
    require_posix(parser.prog)
    if given.init:
        refused = {
            **_of_runs(given),
            "--output-dir": given.output_dir,
            "--report-dir": given.report_dir,
            "--fresh": given.fresh,
            "--json": given.json,
        }
        if word := next((word for word, value in refused.items() if value), None):
            raise UsageError(f"{word} does not go with --init, which writes a contract; leave one out")
        if not given.files:
            raise UsageError("--init writes a contract for files: give a FILE")
        from mocovit_deploy.cli.first_contract import run_first_contract

        return run_first_contract(given.files, given.contract or Path("parity.toml"), verbose=given.verbose)
    if given.contract is None:
        from mocovit_deploy.cli.requests import accuracy_request, require_labelled

        require_labelled(given)
        accuracy = accuracy_request(given)
        for option, value in (("--output-dir", given.output_dir), ("--report-dir", given.report_dir)):
            if value is not None:
                raise UsageError(f"{option} goes with --contract")
        if given.fresh or not given.files:
            raise UsageError("--fresh goes with --contract" if given.fresh else "give a FILE, or --contract")
        if accuracy is not None and given.target not in (None, "host"):
            raise UsageError(f"--data runs files on this host, not on --target {given.target}")
        if given.ready:
            others = {
                "--target": given.target,
                "--layers": given.layers,
                "--bisect": given.bisect,
                "--deadline-s": given.deadline_s,
                "--data": given.data,
            }
            if word := next((word for word, value in others.items() if value), None):
                raise UsageError(f"{word} does not go with --ready, which runs nothing")
            from mocovit_deploy.cli.ready import run_ready

            return run_ready(given.files, as_json=given.json, verbose=given.verbose)
        if given.layers or given.bisect:
            if accuracy is not None:
                raise UsageError("--data does not go with --layers and --bisect: give the two commands")
            if given.deadline_s is not None:
                raise UsageError("--deadline-s does not go with --layers and --bisect, which have none")
            if given.target not in (None, "host"):
                raise UsageError(f"--layers runs files on this host, not on --target {given.target}")
            from mocovit_deploy.extras import import_torch

            import_torch()
            from mocovit_deploy.cli.layers import run_layers

            return run_layers(given.files, bisect=given.bisect, as_json=given.json, verbose=given.verbose)
        from mocovit_deploy.cli.parity import run_parity

        return run_parity(
            given.files,
            given.target or "host",
            deadline_s=given.deadline_s,
            accuracy=accuracy,
            as_json=given.json,
            verbose=given.verbose,
        )
    others = {**_of_runs(given), str(given.files[0]) if given.files else "": given.files}
    if word := next((word for word, value in others.items() if value), None):
        raise UsageError(f"{word} does not go with --contract: the contract names files and targets")
    from mocovit_deploy.cli.contract import run_contract

    return run_contract(
        given.contract,
        given.output_dir or Path("build"),
        given.report_dir,
        fresh=given.fresh,
        as_json_report=given.json,
        verbose=given.verbose,
    )


def _of_runs(given: argparse.Namespace) -> dict[str, object]:
    """The values of the options that only a check without a contract takes."""
    return {
        "--target": given.target,
        "--layers": given.layers,
        "--bisect": given.bisect,
        "--ready": given.ready,
        "--deadline-s": given.deadline_s,
        "--data": given.data,
        "--images": given.images,
        "--max-drop": given.max_drop is not None,
    }


def export_main() -> int:
    """The console script mocovit-export; returns its exit status."""
    return run_command("mocovit-export", _export)


def parity_main() -> int:
    """The console script mocovit-parity; returns its exit status."""
    return run_command("mocovit-parity", _parity)
