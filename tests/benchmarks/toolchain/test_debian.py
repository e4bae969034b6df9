"""Fetching Debian packages: what is refused, and that an archive without a valid signature is."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from pathlib import Path

import pytest

from benchmarks.toolchain import debian
from benchmarks.toolchain.debian import fetch_packages, fetch_source, mirror
from mocovit_deploy.errors import MissingToolError, TransientDeviceError, UsageError

needs_apt = pytest.mark.skipif(
    shutil.which("apt-get") is None or not debian.KEYRING.is_file(),
    reason="apt or the Debian keyring is missing",
)


@pytest.mark.parametrize("word", ["--help", "-o=x", "a b", "", "libc6/../x", "Libc6", "libc6;rm"])
def test_a_word_that_is_no_name_never_reaches_apt(word: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the name of"):
        fetch_packages([word], suite="bookworm", architecture="arm64", into=tmp_path, deadline_s=5)
    with pytest.raises(UsageError, match="not the name of"):
        fetch_source("qemu", suite=word, into=tmp_path, deadline_s=5)


def test_without_apt_it_says_what_else_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="--bundle PATH") as caught:
        fetch_packages(["libc6"], suite="bookworm", architecture="arm64", into=tmp_path, deadline_s=5)
    assert caught.value.exit_status == 8


def test_the_mirror_is_the_one_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCOVIT_DEBIAN_MIRROR", "http://127.0.0.1:1/debian")
    assert mirror() == "http://127.0.0.1:1/debian"
    monkeypatch.setenv("MOCOVIT_DEBIAN_MIRROR", "-oAcquire::x=1")
    with pytest.raises(UsageError):
        mirror()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list", "# comment\ndeb [arch=amd64 signed-by=/k] http://one.test/debian bookworm main\n"),
        (
            "sources.list.d/debian.sources",
            "Types: deb\nURIs: http://one.test/debian\nSuites: bookworm trixie\n",
        ),
    ],
)
def test_both_forms_of_sources_are_read(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(text)
    monkeypatch.setattr(debian, "_SOURCES", tmp_path)
    monkeypatch.delenv("MOCOVIT_DEBIAN_MIRROR", raising=False)
    assert mirror() == "http://one.test/debian"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "deb http://one.test/ubuntu noble main\n",
        "deb http://one.test/debian-security bookworm-security main\n",
        "deb-src http://one.test/debian bookworm main\n",
    ],
)
def test_other_archives_are_no_mirror(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sources.list").write_text(text)
    monkeypatch.setattr(debian, "_SOURCES", tmp_path)
    monkeypatch.delenv("MOCOVIT_DEBIAN_MIRROR", raising=False)
    with pytest.raises(MissingToolError, match="MOCOVIT_DEBIAN_MIRROR"):
        mirror()


@needs_apt
@pytest.mark.parametrize(
    "signature", [None, b"-----BEGIN PGP SIGNATURE-----\n\nnot one\n-----END PGP SIGNATURE-----\n"]
)
def test_an_archive_without_a_valid_signature_is_refused(
    signature: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "archive"
    make_archive(archive, signature)
    monkeypatch.setenv("MOCOVIT_DEBIAN_MIRROR", f"file://{archive}")
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(TransientDeviceError, match="apt could not fetch") as caught:
        fetch_packages(["libfake"], suite="bookworm", architecture="arm64", into=into, deadline_s=60)
    assert "sign" in str(caught.value).lower()
    assert list(into.iterdir()) == []


def make_archive(root: Path, signature: bytes | None) -> None:
    """A Debian archive, whole and right but for its signature."""
    deb = b"not even a package"
    pool = root / "pool" / "libfake_1_arm64.deb"
    pool.parent.mkdir(parents=True)
    pool.write_bytes(deb)
    packages = (
        "Package: libfake\nVersion: 1\nArchitecture: arm64\nMaintainer: nobody <nobody@example.org>\n"
        f"Filename: pool/libfake_1_arm64.deb\nSize: {len(deb)}\nSHA256: {hashlib.sha256(deb).hexdigest()}\n\n"
    ).encode()
    index = root / "dists/bookworm/main/binary-arm64"
    index.mkdir(parents=True)
    packed = gzip.compress(packages, mtime=0)
    (index / "Packages").write_bytes(packages)
    (index / "Packages.gz").write_bytes(packed)
    listed = "".join(
        f" {hashlib.sha256(data).hexdigest()} {len(data)} main/binary-arm64/{name}\n"
        for name, data in (("Packages", packages), ("Packages.gz", packed))
    )
    release = (
        "Origin: Debian\nSuite: bookworm\nCodename: bookworm\nArchitectures: arm64\nComponents: main\n"
        f"Date: Fri, 20 Nov 2026 00:00:00 UTC\nSHA256:\n{listed}"
    )
    (root / "dists/bookworm/Release").write_text(release)
    if signature is not None:
        (root / "dists/bookworm/Release.gpg").write_bytes(signature)
