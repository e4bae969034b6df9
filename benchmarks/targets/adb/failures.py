"""What adb's own messages mean: which may pass, which will not, and what to do about each.

adb tells failures in words alone; its exit status is 1 for all of them. The words are those of
platform-tools 29 to 36. What is not known here is transient: a message that a new adb has reworded must not
make a lost connection final.
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
    ("No such file or directory", "the folder it is to be in is not there; make it, or give --remote-folder"),
    ("Is a directory", "the folder on the phone holds something else; give another with --remote-folder"),
    ("no devices/emulators found", "no phone is connected; connect one; see: adb devices"),
    ("more than one device", "several phones are connected; name one with --serial"),
    ("unknown option", "this adb is too old; install platform-tools 29 or later"),
    ("unknown host service", "the server of an older adb answers; stop it with its own: adb kill-server"),
)

RESTART = "run: adb kill-server, then adb start-server"

_OF_THE_SERVER = (
    ("doesn't match this client", "two versions of adb take turns as its server; use one of them alone"),
    ("failed to check server version", f"adb's server broke off; {RESTART}"),
    ("protocol fault (", f"adb's server broke off; {RESTART}"),
    ("could not read ok from ADB Server", f"adb's server did not start; {RESTART}"),
    ("didn't ACK", f"adb's server did not start; {RESTART}"),
    ("failed to start daemon", f"adb's server did not start; {RESTART}"),
    ("server killed", "somebody stopped adb's server; run: adb start-server"),
    ("cannot connect to daemon", "adb's server does not answer; run: adb start-server"),
)
"""The phone may be well: it is the program between this one and the phone that is not."""

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

_PIECE = 200


def adb_failure(what: str, said: str) -> DeviceError:
    """The error for adb failing at `what` with the words `said`."""
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
    """The line of adb's that says what is wrong. The last one may be its count of what went well."""
    errors = [line for line in said.splitlines() if "error" in line and "error: 0" not in line]
    if errors:
        return clean(errors[-1])
    return "" if re.search(r"\d+ files? pushed", last_line(said)) else last_line(said)


def last_line(text: str) -> str:
    """The last line that says something, without what a terminal would act on, and not too long."""
    lines = [cleaned for line in text.splitlines() if (cleaned := clean(line))]
    return lines[-1] if lines else ""


def clean(text: str) -> str:
    """One line of what a device said, fit to be shown: printable characters only, at most 200."""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:_PIECE]
