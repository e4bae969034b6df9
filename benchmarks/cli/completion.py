"""What the options of mocovit-bench take, for a shell that completes them.

eval "$(mocovit-bench --completion bash)"       in ~/.bashrc; zsh and fish as of mocovit-export
"""

from __future__ import annotations

from mocovit_deploy.choices import CPUS, DEVICES, RUNTIMES, TARGETS
from mocovit_deploy.terminal.completion import Values

VALUES: Values = {"target": TARGETS, "runtime": RUNTIMES, "cpu": CPUS, "device": DEVICES}
