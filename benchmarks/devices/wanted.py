"""The phone of a command, and how to use it, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_FOLDER = "/data/local/tmp"
"""The only folder in which Android lets the shell's user write and execute files."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options of the command line about phones."""

    serial: str = ""
    """The serial number; empty for ANDROID_SERIAL or the only phone."""
    connect: str = ""
    """The address of a wireless phone to connect to first, such as "192.168.1.7:5555"."""
    all_devices: bool = False
    remote_folder: str = DEFAULT_FOLDER
    keep: bool = False
    """Leave the pushed files on the phone, so that the next run need not push them again."""
    use_root: bool = True
    cooldown_s: float = 300.0
    """The longest wait for a phone to cool down."""
    rounds: int = 3
    """The number of steady rounds of a file."""
    deadline_s: float | None = None
    """Seconds after which the command ends; adb then gets little time to finish."""
