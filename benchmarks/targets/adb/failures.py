"""From adb's messages to typed errors with advice: transient ones, which may pass, and stable ones.

adb reports failures only by their text; its exit status is 1 for all of them. The texts here are those of
platform-tools 29 to 36. An unknown text is a transient error, so that a reworded message of a new adb does
not make a lost connection final.
"""

from __future__ import annotations

import re

from mocovit_deploy.errors import DeviceError, StableDeviceError, TransientDeviceError

_STABLE = (
    ("unauthorized", "the phone does not trust this computer; unlock it and accept the question it shows"),
    ("no permissions", "this user may not open the phone's USB device; see docs/phones.md"),
    ("insufficient permissions", "this user may not open the phone's USB device; see docs/phones.md"),
    ("No space left", "the phone's storage is full; make room, or give --remote-folder elsewhere"),
    ("Read-only file system", "the folder on the phone is read-only; give another with --remote-folder"),
    ("Permission denied", "the folder on the phone may not be written; give another with --remote-folder"),
    ("No such file or directory", "the folder on the phone does not exist; make it, or give --remote-folder"),
    ("Is a directory", "the folder on the phone holds something else; give another with --remote-folder"),
    ("no devices/emulators found", "no phone is connected; connect one; see: adb devices"),
    ("more than one device", "several phones are connected; name one with --serial"),
    ("unknown option", "this adb is too old; install platform-tools 29 or later"),
    ("unknown host service", "the server of an older adb answers; stop it with its own: adb kill-server"),
)

RESTART = "run: adb kill-server, then adb start-server"

_OF_THE_SERVER = (
    ("doesn't match this client", "two versions of adb replace each other's server; use only one of them"),
    ("failed to check server version", f"adb's server broke off; {RESTART}"),
    ("protocol fault (", f"adb's server broke off; {RESTART}"),
    ("could not read ok from ADB Server", f"adb's server did not start; {RESTART}"),
    ("didn't ACK", f"adb's server did not start; {RESTART}"),
    ("failed to start daemon", f"adb's server did not start; {RESTART}"),
    ("server killed", "somebody stopped adb's server; run: adb start-server"),
    ("cannot connect to daemon", "adb's server does not answer; run: adb start-server"),
)
"""Failures of adb's server; the phone may be fine."""

_OF_THE_PHONE = (
    ("still authorizing", "the phone asks whether to trust this computer; unlock it and accept"),
    ("still connecting", "the phone is still being connected; try again"),
    ("offline", "the phone went offline; check the cable, or the network of a wireless one"),
    ("device '", "the phone has gone; check the cable, or the network of a wireless one"),
    ("protocol fault", "the connection to the phone broke; check the cable"),
    ("failed to connect", "the phone does not answer; check its address, and: adb tcpip 5555"),
    ("Connection refused", "the phone does not answer; check its address, and: adb tcpip 5555"),
    ("closed", "the connection to the phone broke; check the cable, and that nobody stopped adb's server"),
    ("EOF", "the connection to the phone broke; check the cable, and that nobody stopped adb's server"),
)

_LONGEST_LINE = 200


def adb_failure(what: str, said: str) -> DeviceError:
    """The error for adb failing at `what` with the output `said`."""
    line = _telling(said)
    for pattern, advice in _STABLE:
        if pattern in said:
            return StableDeviceError(f"{what}: {advice} (adb: {line})")
    for pattern, advice in (*_OF_THE_SERVER, *_OF_THE_PHONE):
        if pattern in said:
            return TransientDeviceError(f"{what}: {advice} (adb: {line})")
    if not line:
        return TransientDeviceError(f"{what}: the connection to the phone broke; check the cable")
    return TransientDeviceError(f"{what}: adb failed ({line})")


def _telling(said: str) -> str:
    """The line of adb's output with the error. Its last line may be a count of files that were copied."""
    errors = [line for line in said.splitlines() if "error" in line and "error: 0" not in line]
    if errors:
        return clean(errors[-1])
    return "" if re.search(r"\d+ files? pushed", last_line(said)) else last_line(said)


def last_line(text: str) -> str:
    """The last line that is not empty, as `clean` makes it."""
    lines = [cleaned for line in text.splitlines() if (cleaned := clean(line))]
    return lines[-1] if lines else ""


def clean(text: str) -> str:
    """A line from a device, safe to print on a terminal: only printable characters, at most 200."""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:_LONGEST_LINE]
