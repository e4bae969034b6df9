"""A session: a phone that a command holds as long as it needs it, and always releases."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.devices.wanted import Wanted
from benchmarks.targets.adb import probe as probes
from benchmarks.targets.adb.choose import choose_phones
from benchmarks.targets.adb.client import Adb, quoted
from benchmarks.targets.adb.failures import clean
from benchmarks.targets.adb.keeper import Keeper, end_bench, start_keeper
from benchmarks.targets.adb.probe import Cores, Probe
from benchmarks.targets.adb.protocol import governors_to_fix
from mocovit_deploy.errors import DeviceError, StableDeviceError, UsageError

FOLDER = "mocovit-deploy"
_RECONNECT_S = 15.0
_WHERE_ALLOWED = (
    'while read name value; do [ "$name" != Cpus_allowed: ] || echo "$value"; done < /proc/self/status'
)
_SEPARATORS = ":;"
"""Characters that separate folders for the C library's loader."""
_SU = (("su", "-c"), ("su", "0", "sh", "-c"))
"""Commands that start a root shell: the su of Magisk and most others, and that of Android's debug builds."""


@dataclass(frozen=True)
class Held:
    """A phone with the folder of a command on it."""

    adb: Adb
    probe: Probe
    cores: Cores
    folder: str
    keeper: Keeper
    rooted: bool
    """True if its governors are fixed, to be restored in the end."""


@dataclass
class Session:
    """One phone for one command. It is held from the first use on, and again after a lost connection."""

    wanted: Wanted
    say: Callable[[str], None]
    adb: Adb | None = None
    """The phone; None until it is chosen, at the first use."""
    _held: Held | None = field(default=None, init=False)
    until: float = field(init=False)
    """The end of the command's time, on the monotonic clock."""

    def __post_init__(self) -> None:
        seconds = self.wanted.deadline_s
        self.until = math.inf if seconds is None else time.monotonic() + seconds

    def hold(self, cores: str) -> Held:
        """The held phone, bound to `cores`. Raises like `choose_phones`, `probe_phone` and `start_keeper`."""
        if self._held is not None and self._held.cores.name == cores:
            return self._held
        self.drop()
        adb = self.adb or choose_phones(self.wanted, self.until)[0]
        self._held = _take(adb, self.wanted, cores)
        self.adb = adb
        return self._held

    def drop(self) -> None:
        """Release the phone: end the bench, and let the keeper clean up."""
        held, self._held = self._held, None
        if held is None:
            return
        end_bench(held.adb, held.folder)
        if not held.keeper.close():
            self.say(
                f"{clean(held.adb.serial)}: the connection broke before the phone confirmed that it cleaned "
                f"up; it does so by itself ({clean(held.folder)})"
            )

    def again(self) -> None:
        """Recover from a lost connection: release the phone, and connect again if it is wireless."""
        self.drop()
        if self.wanted.connect and self.adb is not None:
            self.adb.start_server()
            Adb(self.adb.program, until=self.until).reconnect(self.wanted.connect, wait_s=_RECONNECT_S)


@contextmanager
def opened(wanted: Wanted, say: Callable[[str], None], adb: Adb | None = None) -> Iterator[Session]:
    """A session that releases its phone at the end of the block."""
    session = Session(wanted, say, adb)
    try:
        yield session
    finally:
        session.drop()


def _take(adb: Adb, wanted: Wanted, asked: str) -> Held:
    base = wanted.remote_folder.rstrip("/")
    if not base.startswith("/") or not base.isprintable() or set(base) & set(_SEPARATORS):
        raise UsageError(
            f"--remote-folder {wanted.remote_folder!r}: give an absolute path on the phone, without "
            f"{' and '.join(_SEPARATORS)}, which separate folders for the loader"
        )
    found = probes.probe_phone(adb)
    cores = probes.select_cores(found, asked)
    _check_binding(adb, cores)
    governors = governors_to_fix(found.governors, cores)
    root = _root(adb, found) if wanted.use_root and governors else None
    folder = f"{base}/{FOLDER}"
    keeper = start_keeper(adb, folder, keep=wanted.keep, governors=governors, root=root)
    return Held(adb, found, cores, folder, keeper, rooted=root is not None)


def _check_binding(adb: Adb, cores: Cores) -> None:
    """Bind a shell to the cores and read back its allowed cores, as some phones accept a mask and ignore it.

    Raises `StableDeviceError` if the phone has no taskset, or refuses or ignores the mask.
    """
    answer = adb.shell(f"taskset {cores.mask} sh -c {quoted(_WHERE_ALLOWED)}")
    if answer.status == 127 or "not found" in answer.stderr:
        raise StableDeviceError(
            f"{clean(adb.serial)} has no taskset, which binds the bench to cores; "
            "use a phone with Android 8 or later"
        )
    if not answer.ok:
        raise StableDeviceError(
            f"the phone refuses the cores {cores.name} (mask {cores.mask}): {answer.reason()}; "
            "name others with --cores"
        )
    said = answer.text.strip().replace(",", "")
    allowed = int(said, 16) if re.fullmatch(r"[0-9a-fA-F]{1,256}", said) else 0
    if allowed != int(cores.mask, 16):
        raise StableDeviceError(
            f"the phone was asked for the cores {cores.name} (mask {cores.mask}) but allows {clean(said)}; "
            "name others with --cores"
        )


def _root(adb: Adb, found: Probe) -> tuple[str, ...] | None:
    """The command that starts a root shell; None if there is no root, which is never required."""
    if found.is_root:
        return ()
    for words in _SU:
        try:
            answer = adb.shell(" ".join([*words, "'id -u'"]), deadline_s=10.0)
        except DeviceError:  # this su asks the user, who does not answer
            return None
        if answer.ok and answer.text.strip() == "0":
            return words
    return None
