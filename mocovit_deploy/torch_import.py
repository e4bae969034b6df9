"""torch, imported when it is first needed, with threads that do not spin."""

from __future__ import annotations

import os
from types import ModuleType

from mocovit_deploy.errors import needs_extra


def import_torch() -> ModuleType:
    """Import torch with OpenMP threads that sleep while they wait; `MissingToolError` where it is not there.

    Spinning is libgomp's default and ruinous where another process wants the cores: eight forwards of
    mocovit_1_0 took 27 s on two busy cores, and 0.3 s so.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return needs_extra("torch", "export")
