"""Downloading packages of any Debian suite and architecture without root, with checked signatures.

The system's apt does the work, with a separate configuration in a temporary folder: the package state of the
system is neither read nor changed. apt checks the chain of trust: a key of the archive's keyring signs
`InRelease`, which holds the digest of the package index, which holds the digest of each package. A missing
link of that chain is an error, never a warning.

The mirror is that of this machine's apt, or `MOCOVIT_DEBIAN_MIRROR`. Contents are checked in the same way, so
the mirror need not be trusted.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mocovit_deploy.errors import DeployError, MissingToolError, TransientDeviceError, UsageError
from mocovit_deploy.files import digest
from mocovit_deploy.untrusted.process import Finished, run_process

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCES = Path("/etc/apt")
_WORD = re.compile(r"[a-z0-9][a-z0-9+.-]*")
"""The characters of a package's name (Debian policy 5.6.7). Suites and architectures match it too."""


@dataclass(frozen=True)
class Fetched:
    """One file of the archive, verified by apt, with its digest."""

    name: str
    version: str
    suite: str
    architecture: str
    """The Debian architecture, or "source"."""
    sha256: str
    path: Path


def fetch_packages(
    names: Sequence[str], *, suite: str, architecture: str, into: Path, deadline_s: float
) -> tuple[Fetched, ...]:
    """Download the binary packages `names` of `suite` for `architecture` into the folder `into`.

    Raises `MissingToolError` without apt or the archive's keyring, `UsageError` for an impossible name,
    `TransientDeviceError` if the archive cannot be reached, fails verification or lacks a package.
    """
    _check_words(*names, suite, architecture)
    with _private_apt(suite, architecture, source=False, deadline_s=deadline_s) as apt:
        _apt(
            [*apt, "download", *(f"{name}:{architecture}" for name in names)],
            deadline_s=deadline_s,
            cwd=into,
        )
    found = []
    for name in names:
        candidates = sorted(into.glob(f"{name}_*_{architecture}.deb")) + sorted(
            into.glob(f"{name}_*_all.deb")
        )
        if len(candidates) != 1:
            raise DeployError(f"{into}: {len(candidates)} packages {name} after a download, one was expected")
        deb = candidates[0]
        version = deb.name.split("_")[1].replace("%3a", ":")
        found.append(Fetched(name, version, suite, architecture, digest(deb), deb))
    return tuple(found)


def fetch_source(name: str, *, suite: str, into: Path, deadline_s: float) -> tuple[Fetched, ...]:
    """Download the files of the source package `name` of `suite` into the folder `into`.

    Returns the `.dsc` and the archives that it names (`.orig.tar.xz`, `.debian.tar.xz`), not unpacked. Raises
    like `fetch_packages`.
    """
    _check_words(name, suite)
    before = set(into.iterdir())
    with _private_apt(suite, "", source=True, deadline_s=deadline_s) as apt:
        _apt([*apt, "source", "--download-only", name], deadline_s=deadline_s, cwd=into)
    files = sorted(set(into.iterdir()) - before)
    descriptions = [path for path in files if path.suffix == ".dsc"]
    if len(descriptions) != 1:
        raise DeployError(f"{into}: {len(descriptions)} .dsc files after a download, one was expected")
    version = descriptions[0].stem.partition("_")[2]
    return tuple(Fetched(name, version, suite, "source", digest(path), path) for path in files)


def unpack_package(package: Fetched, into: Path, *, deadline_s: float) -> None:
    """Extract the files of a binary package below `into`, without running its scripts.

    Raises `DeployError` if it cannot be unpacked, `MissingToolError` without dpkg-deb.
    """
    done = run_process([_program("dpkg-deb"), "--extract", package.path, into], deadline_s=deadline_s)
    if not done.ok:
        raise DeployError(f"{package.path.name} cannot be unpacked: {done.reason()}")


def mirror() -> str:
    """The address of a Debian mirror: `MOCOVIT_DEBIAN_MIRROR`, else the first of this machine's apt.

    Raises `MissingToolError` if there is neither, `UsageError` for a value that is no address.
    """
    given = os.environ.get("MOCOVIT_DEBIAN_MIRROR")
    if given:
        if not re.fullmatch(r"(https?|file)://\S+", given):
            raise UsageError(
                f"MOCOVIT_DEBIAN_MIRROR={given!r} is not an address; give http://, https:// or file://"
            )
        return given
    for address, suite in _configured_sources(_SOURCES):
        # Derived distributions and the security archive have other layouts and other keys.
        if suite in _DEBIAN_SUITES and address.rstrip("/").endswith("/debian"):
            return address
    raise MissingToolError(
        "no Debian mirror among this machine's apt sources; set MOCOVIT_DEBIAN_MIRROR to the address of one"
    )


_DEBIAN_SUITES = ("bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable", "oldstable")


def _configured_sources(folder: Path) -> Iterator[tuple[str, str]]:
    """(address, suite) of every binary source in apt's one-line and deb822 files, in apt's order."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    for path in files:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            yield from _deb822_sources(text)
        else:
            for line in text.splitlines():
                if found := re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", line):
                    yield found[1], found[2]


def _deb822_sources(text: str) -> Iterator[tuple[str, str]]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"(?m)^([A-Za-z-]+):[ \t]*(.*)$", stanza))
        if "deb" not in fields.get("Types", "").split() or fields.get("Enabled", "yes") == "no":
            continue
        for address in fields.get("URIs", "").split():
            for suite in fields.get("Suites", "").split():
                yield address, suite


@contextlib.contextmanager
def _private_apt(suite: str, architecture: str, *, source: bool, deadline_s: float) -> Iterator[list[str]]:
    """Yield the first words of an apt-get command that knows only one signed suite, whose index it has read.

    Settings are on the command line, where they override every configuration file of the system. A proxy of
    the administrator still applies.
    """
    apt_get = _program("apt-get")
    if not KEYRING.is_file():
        raise MissingToolError(f"{KEYRING} is missing; run: apt-get install debian-archive-keyring")
    with tempfile.TemporaryDirectory(prefix="mocovit-apt-") as name:
        root = Path(name)
        for folder in ("lists/partial", "cache/archives/partial", "empty"):
            (root / folder).mkdir(parents=True)
        (root / "status").touch()
        kind = "deb-src" if source else "deb"
        options = f"signed-by={KEYRING}" + (f" arch={architecture}" if architecture else "")
        (root / "sources.list").write_text(f"{kind} [{options}] {mirror()} {suite} main\n", encoding="utf-8")
        settings = {
            "Dir::Etc::sourcelist": root / "sources.list",
            "Dir::Etc::sourceparts": root / "empty",
            "Dir::Etc::preferences": root / "empty" / "none",
            "Dir::Etc::preferencesparts": root / "empty",
            "Dir::Etc::trusted": root / "empty" / "none",
            "Dir::Etc::trustedparts": root / "empty",
            "Dir::State": root,
            "Dir::State::lists": root / "lists",
            "Dir::State::status": root / "status",
            "Dir::Cache": root / "cache",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
            "APT::Get::AllowUnauthenticated": "false",
            "APT::Update::Error-Mode": "any",
            "APT::Sandbox::User": "root",  # apt's own user could not enter this private folder
        }
        if architecture:
            settings["APT::Architecture"] = architecture
            settings["APT::Architectures::"] = architecture
        command = [apt_get, "-qq"]
        for key, value in settings.items():
            command += ["-o", f"{key}={value}"]
        _apt([*command, "update"], deadline_s=deadline_s)
        yield command


def _apt(argv: Sequence[str], *, deadline_s: float, cwd: Path | None = None) -> Finished:
    done = run_process(argv, deadline_s=deadline_s, cwd=cwd, environment={"LC_ALL": "C"})
    if not done.ok:
        said = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        raise TransientDeviceError(
            f"apt could not fetch from the Debian archive: {said[0] if said else done.reason()}; "
            "check the network and the mirror, then try again"
        )
    return done


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise MissingToolError(
            f"{name} is not installed, and Debian packages cannot be fetched without it; "
            "make the bundle on a Debian or Ubuntu machine and give it with --bundle PATH"
        )
    return path


def _check_words(*words: str) -> None:
    """Raise `UsageError` for a word that apt would not take for a name, but for an option or a path."""
    for word in words:
        if not _WORD.fullmatch(word):
            raise UsageError(f"{word!r} is not the name of a Debian package, suite or architecture")
