"""Run a network's own methods that prepare it for inference, such as RepVGG's `switch_to_deploy`.

The passes merge branches without knowing any class, so these methods are rarely needed. They are for networks
whose authors know something that the graph does not show. They run only with --deploy-hooks, and on a copy:
every file is judged against the network as the user gave it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

from mocovit_deploy.artifacts.operator import ROOT_MODULE
from mocovit_deploy.errors import ConversionError, UsageError, first_line
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.edit import in_double
from mocovit_deploy.graph.wrapper import Wrapper, unwrapped
from mocovit_deploy.passes.result import Change, Proof
from mocovit_deploy.passes.run import outputs_of, random_like, relative_error
from mocovit_deploy.spec import ExportRequest

HOOKS = ("switch_to_deploy", "reparameterize", "fuse")
"""Methods without arguments. If one returns a module, that replaces its owner, as for timm's `fuse`."""

BOUND = 1e-5
"""Largest error, relative to the output's range, as hooks compute weights in float32. timm's: up to 6e-7."""


def run_deploy_hooks(module: nn.Module) -> tuple[nn.Module, tuple[Change, ...]]:
    """A copy of `module` in eval mode after its own hooks, outermost first, and the hooks that ran.

    Raises `UsageError` if no module has a hook, `ConversionError` if one fails.
    """
    deployed = copy.deepcopy(module).eval()
    changes: list[Change] = []
    with torch.no_grad():
        deployed = _run(deployed, "", changes)
    if not changes:
        raise UsageError(
            f"--deploy-hooks: no module of {type(unwrapped(module)).__name__} has a method "
            f"{', '.join(HOOKS[:-1])} or {HOOKS[-1]}; leave --deploy-hooks out (the passes need none)"
        )
    return deployed.eval(), tuple(changes)


def after_deploy_hooks(
    module: nn.Module, original: fx.GraphModule, example: tuple[Tensor, ...], request: ExportRequest
) -> tuple[fx.GraphModule, tuple[Proof, ...]]:
    """The graph of `module` after its own hooks, and their proof; `original` if `request` wants no hooks."""
    if not request.deploy_hooks:
        return original, ()
    deployed, changes = run_deploy_hooks(module)
    graph = capture(deployed, example, request.dynamic_batch)
    return graph, (prove(original, graph, example, changes),)


def prove(
    before: fx.GraphModule,
    after: fx.GraphModule,
    example: Sequence[Tensor],
    changes: tuple[Change, ...],
    seed: int = 0,
) -> Proof:
    """Compare the captured graphs of a network without and with its hooks, both in float64.

    `example` holds the inputs of one run. Raises `ConversionError` if they differ by more than `BOUND`, so
    that a hook changes what the network computes.
    """
    inputs = random_like(example, seed)
    expected, found = (outputs_of(in_double(graph), inputs) for graph in (before, after))
    if len(expected) != len(found):
        raise ConversionError(
            f"the deploy hooks change the number of outputs from {len(expected)} to {len(found)}; leave out "
            "--deploy-hooks"
        )
    error = relative_error(expected, found)
    if not error <= BOUND:
        names = ", ".join(sorted({change.what for change in changes}))
        raise ConversionError(
            f"the network's own {names} changes what it computes: relative error {error:.1e}, but rounding "
            f"is at most {BOUND:.0e}; leave out --deploy-hooks"
        )
    return Proof("deploy_hooks", changes, (), error, BOUND)


def _run(module: nn.Module, path: str, changes: list[Change]) -> nn.Module:
    """Run the first hook of `module`, then those of the children that it still has."""
    name = next((hook for hook in HOOKS if callable(getattr(module, hook, None))), None)
    if name is not None:
        where = path or ROOT_MODULE
        try:
            result = getattr(module, name)()
        except Exception as error:  # the user's method may raise any type
            raise ConversionError(
                f"{where}: its own {name} fails ({type(error).__name__}: {first_line(error)}); leave out "
                "--deploy-hooks"
            ) from error
        module = result if isinstance(result, nn.Module) else module
        changes.append(Change(where, name))
    for child_name, child in list(module.named_children()):
        inner = path if isinstance(module, Wrapper) else f"{path}.{child_name}" if path else child_name
        setattr(module, child_name, _run(child, inner, changes))
    return module
