"""The phones of a command: named by --serial or ANDROID_SERIAL, or the only one."""

from __future__ import annotations

import math
import os

from benchmarks.devices.wanted import Wanted
from benchmarks.targets.adb.client import Adb, Listed
from benchmarks.targets.adb.failures import clean
from benchmarks.targets.adb.locate import find_adb
from mocovit_deploy.errors import DeviceError, StableDeviceError, TransientDeviceError


def choose_phones(wanted: Wanted, until: float = math.inf) -> tuple[Adb, ...]:
    """One `Adb` for each wanted phone. All of them are ready.

    `until` is the end of the command's time, on the monotonic clock. Raises `StableDeviceError` if there is
    no phone, if there are several and none is named, or if one does not trust this computer;
    `TransientDeviceError` if one is offline.
    """
    adb = Adb(find_adb(), until=until)
    adb.start_server()
    if wanted.connect:
        adb.connect(wanted.connect)
    listed = adb.devices()
    serial = wanted.serial or wanted.connect or os.environ.get("ANDROID_SERIAL", "")
    if wanted.all_devices:
        meant = listed
    elif serial:
        meant = tuple(each for each in listed if each.serial == serial)
        if not meant:
            raise StableDeviceError(f"no phone {clean(serial)!r} is connected; {_there_are(listed)}")
    else:
        meant = listed
        if len(meant) > 1:
            raise StableDeviceError(
                f"{len(meant)} phones are connected; name one with --serial, or give --all-devices; "
                f"{_there_are(listed)}"
            )
    if not meant:
        raise StableDeviceError(
            "no phone is connected; connect one and allow USB debugging on it; see: adb devices"
        )
    for each in meant:
        if each.state != "device":
            raise _unready(each)
    return tuple(Adb(adb.program, each.serial, until) for each in meant)


def _there_are(listed: tuple[Listed, ...]) -> str:
    found = ", ".join(f"{clean(each.serial)} ({clean(each.state)})" for each in listed)
    return f"connected: {found}" if found else "none is connected; see: adb devices"


def _unready(phone: Listed) -> DeviceError:
    serial, state = clean(phone.serial), clean(phone.state)
    untrusting = f"{serial} does not trust this computer; unlock it and accept the question it shows"
    if state.startswith("unauthorized"):
        return StableDeviceError(untrusting)
    if state == "authorizing":  # keys are exchanged, or the phone still asks
        return TransientDeviceError(untrusting)
    if state.startswith("no permissions"):
        return StableDeviceError(f"{serial}: this user may not open its USB device; see docs/phones.md")
    if state in ("offline", "connecting"):
        return TransientDeviceError(f"{serial} is {state}; check the cable, or connect it again")
    return StableDeviceError(f"{serial} is in state {state!r}; start Android on it")
