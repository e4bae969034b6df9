"""mocovit-export and mocovit-parity: arguments in, exit status out.

Nothing heavy is imported before it is needed: --help costs what bare Python costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mocovit_deploy.cli.parsers import export_parser, parity_parser
from mocovit_deploy.cli.runner import run
from mocovit_deploy.errors import UsageError


def _export(words: Sequence[str]) -> int:
    given = export_parser().parse_args(words)
    from mocovit_deploy.ship.metadata import read_labels
    from mocovit_deploy.spec import ExportRequest, ModelSpec, OwnInput

    request = ExportRequest(
        model=ModelSpec(
            name=given.model,
            arguments=tuple(given.model_arg),
            checkpoint=given.checkpoint,
            num_classes=given.num_classes,
            input=OwnInput(size=given.image_size, batch=given.batch),
            seed=given.seed,
            pretrained=given.pretrained,
            prefer_ema=given.prefer_ema,
            unsafe_pickle=given.unsafe_pickle,
            input_names=given.input_names,
            output_names=given.output_names,
        ),
        formats=given.format,
        precisions=given.precision,
        output_dir=given.output_dir,
        layout=given.layout,
        opset=given.opset,
        simplify=not given.no_simplify,
        dynamic_batch=given.dynamic == "batch",
        minimum_deployment_target=given.minimum_deployment_target,
        converter=given.converter,
        verify=not given.no_verify,
        without=tuple(given.without),
        deploy_hooks=given.deploy_hooks,
        labels=() if given.labels is None else read_labels(given.labels),
        author=given.author,
        app_code=given.app_code,
        licence=given.licence,
        model_version=given.model_version,
        description=given.description,
    )
    if given.summary:
        from mocovit_deploy.cli.summary import summary

        return summary(request, as_json=given.json, verbose=given.verbose)
    from mocovit_deploy.cli.export import export

    return export(request, as_json=given.json, verbose=given.verbose)


def _parity(words: Sequence[str]) -> int:
    given = parity_parser().parse_args(words)
    if given.contract is None:
        for option, value in (("--output-dir", given.output_dir), ("--report-dir", given.report_dir)):
            if value is not None:
                raise UsageError(f"{option} goes with --contract")
        if given.fresh or not given.files:
            raise UsageError("--fresh goes with --contract" if given.fresh else "give a FILE, or --contract")
        if given.layers or given.bisect:
            if given.target not in (None, "host"):
                raise UsageError(f"--layers runs files on this host, not on --target {given.target}")
            from mocovit_deploy.extras import import_torch

            import_torch()
            from mocovit_deploy.cli.layers import layers

            return layers(given.files, bisect=given.bisect, as_json=given.json, verbose=given.verbose)
        from mocovit_deploy.cli.parity import parity

        return parity(
            given.files,
            given.target or "host",
            deadline_s=given.deadline_s,
            as_json=given.json,
            verbose=given.verbose,
        )
    if given.files or given.target or given.layers or given.bisect:
        word = "--target" if given.target else str(given.files[0]) if given.files else "--layers"
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


def export_main() -> int:
    return run("mocovit-export", _export)


def parity_main() -> int:
    return run("mocovit-parity", _parity)
