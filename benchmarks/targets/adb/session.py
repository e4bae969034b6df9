"""A phone that is held for as long as a command needs it, and dropped on every way out."""

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
"""Of the folders that the C library's loader is given."""
_SU = (("su", "-c"), ("su", "0", "sh", "-c"))
"""How a root shell is asked for: Magisk's and most others' su, and that of Android's own debug builds."""


@dataclass(frozen=True)
class Held:
    """A phone with our folder on it."""

    adb: Adb
    probe: Probe
    cores: Cores
    folder: str
    keeper: Keeper
    rooted: bool
    """Its governors are fixed, and given back in the end."""


@dataclass
class Session:
    """One phone for one command. It is taken when first needed, and again after a connection was lost."""

    wanted: Wanted
    say: Callable[[str], None]
    adb: Adb | None = None
    """The phone; None: chosen when it is taken."""
    _held: Held | None = field(default=None, init=False)
    until: float = field(init=False)
    """On the monotonic clock: when the command's time is up."""

    def __post_init__(self) -> None:
        seconds = self.wanted.deadline_s
        self.until = math.inf if seconds is None else time.monotonic() + seconds

    def hold(self, cores: str) -> Held:
        """The phone, taken if it is not; raises like `choose_phones`, `probe_phone` and `start_keeper`."""
        if self._held is not None and self._held.cores.name == cores:
            return self._held
        self.drop()
        adb = self.adb or choose_phones(self.wanted, self.until)[0]
        self._held = _take(adb, self.wanted, cores)
        self.adb = adb
        return self._held

    def drop(self) -> None:
        """Leave the phone as it was."""
        held, self._held = self._held, None
        if held is None:
            return
        end_bench(held.adb, held.folder)
        if not held.keeper.close():
            self.say(
                f"{clean(held.adb.serial)}: the connection broke before the phone said that it cleaned up; "
                f"it does so by itself ({clean(held.folder)})"
            )

    def again(self) -> None:
        """After a lost connection: drop what is left, and connect again where the phone is wireless."""
        self.drop()
        if self.wanted.connect and self.adb is not None:
            self.adb.start_server()
            Adb(self.adb.program, until=self.until).reconnect(self.wanted.connect, wait_s=_RECONNECT_S)


@contextmanager
def opened(wanted: Wanted, say: Callable[[str], None], adb: Adb | None = None) -> Iterator[Session]:
    """A session that ends with the block."""
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
            f"{' and '.join(_SEPARATORS)}, at which the loader would cut it"
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
    """Bind a shell to the cores and read back where it may run; some phones ignore what they accept."""
    answer = adb.shell(f"taskset {cores.mask} sh -c {quoted(_WHERE_ALLOWED)}")
    if answer.status == 127 or "not found" in answer.stderr:
        raise StableDeviceError(
            f"{clean(adb.serial)} has no taskset, and times on unknown cores are worth nothing; "
            "phones have it since Android 8"
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
            f"the phone was asked for the cores {cores.name} (mask {cores.mask}) and gives {clean(said)}; "
            "name others with --cores"
        )


def _root(adb: Adb, found: Probe) -> tuple[str, ...] | None:
    """The words that start a root shell; None if there is no root. It is used, never needed."""
    if found.is_root:
        return ()
    for words in _SU:
        try:
            answer = adb.shell(" ".join([*words, "'id -u'"]), deadline_s=10.0)
        except DeviceError:  # a su that asks its user, who does not answer
            return None
        if answer.ok and answer.text.strip() == "0":
            return words
    return None
