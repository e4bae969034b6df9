"""Which phone a command means and how it is treated there, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_FOLDER = "/data/local/tmp"
"""The one place where Android lets the shell's user write and execute."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line says of phones."""

    serial: str = ""
    connect: str = ""
    """Address of a wireless phone, as in "192.168.1.7:5555"; connected to first."""
    all_devices: bool = False
    remote_folder: str = DEFAULT_FOLDER
    keep: bool = False
    """Leave the pushed files on the phone, so that the next run need not push them again."""
    use_root: bool = True
    cooldown_s: float = 300.0
    """How long to wait for a phone to cool down before giving up."""
    rounds: int = 3
    """Steady rounds to take of a file."""
    deadline_s: float | None = None
    """The command ends after it, and what adb has not done then gets little more time."""
