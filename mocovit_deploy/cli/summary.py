"""mocovit-export --summary: parameters, MACs and activation bytes of each layer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mocovit_deploy.cli.output import REPORT_SCHEMA_VERSION, print_json
from mocovit_deploy.extras import import_torch
from mocovit_deploy.models.probe import probe_files
from mocovit_deploy.models.source import source_for
from mocovit_deploy.spec import ExportRequest
from mocovit_deploy.terminal.quiet import quiet

if TYPE_CHECKING:
    from mocovit_deploy.models.load import Network


def run_summary(request: ExportRequest, *, as_json: bool, verbose: bool) -> int:
    """Print parameters, multiply-accumulates and activation bytes of each layer; no file is written."""
    with quiet(not verbose):
        source_for(request.model.name)
        probe_files(request.model, verbose)
        import_torch()

        from mocovit_deploy.graph.capture import capture
        from mocovit_deploy.graph.cost import cost_text, summarize
        from mocovit_deploy.models.load import load_network
        from mocovit_deploy.passes.deploy_hooks import run_deploy_hooks

        network = load_network(request.model)
        module = run_deploy_hooks(network.module)[0] if request.deploy_hooks else network.module
        graph = capture(module, network.inputs.for_capture(request.model.seed, free_batch=False))
        counted = summarize(module, graph)
    if as_json:
        print_json(
            {
                "schema_version": REPORT_SCHEMA_VERSION,
                "model": network.name,
                "inputs": _input_shapes(network),
                **counted.as_json(),
            }
        )
    else:
        shapes = ", ".join(f"{n} {'x'.join(map(str, shape))}" for n, shape in _input_shapes(network).items())
        sys.stdout.write(f"{network.name} at {shapes}\n\n{cost_text(counted)}\n")
    return 0


def _input_shapes(network: Network) -> dict[str, list[int]]:
    example = network.inputs.for_capture(0, free_batch=False)
    return {name: list(tensor.shape) for name, tensor in zip(network.input_names, example, strict=True)}
