"""The first process of a virtual phone, inside namespaces of its own: mounts, adbd, and a way in.

    python inside.py ROOT QEMU PORT SOCKET [tmpfs=BYTES] [readonly]

adbd listens on a TCP port of a network that only this process tree has; a Unix socket leads to it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

_AARCH64 = (
    r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
)


def main(root: Path, qemu: str, port: int, way_in: Path, options: list[str]) -> None:
    _raise_loopback()
    mount("-t", "binfmt_misc", "none", "/proc/sys/fs/binfmt_misc")
    magic, mask = _AARCH64
    rule = f":aarch64:M::{magic}:{mask}:{qemu}:FP"
    Path("/proc/sys/fs/binfmt_misc/register").write_text(rule)
    mount("-t", "proc", "proc", str(root / "proc"))
    mount("--bind", str(root / "system/cpuinfo"), str(root / "proc/cpuinfo"))
    for name in ("null", "zero", "urandom", "random", "tty"):
        (root / "dev" / name).touch()
        mount("--bind", f"/dev/{name}", str(root / "dev" / name))
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=0620", "devpts", str(root / "dev/pts"))
    (root / "dev/ptmx").symlink_to("pts/ptmx")
    _storage(root / "data/local/tmp", options)
    loader = ["/.host/ld-linux-x86-64.so.2", "--library-path", "/.host", "/.host/adbd"]
    environment = {"PATH": "/system/bin", "QEMU_CPU": "cortex-a76", "ADBD_PORT": str(port), "HOME": "/"}
    chroot = "/usr/sbin/chroot"
    with (root.parent / "adbd.log").open("wb") as log:
        adbd = subprocess.Popen([chroot, str(root), *loader], env=environment, stdout=log, stderr=log)
    try:
        asyncio.run(_serve(way_in, port, adbd))
    finally:
        adbd.kill()


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)  # noqa: S607


def _storage(folder: Path, options: list[str]) -> None:
    for option in options:
        if option.startswith("tmpfs="):
            mount("-t", "tmpfs", "-o", f"size={option.removeprefix('tmpfs=')}", "tmpfs", str(folder))
        if option == "readonly":
            mount("--bind", str(folder), str(folder))
            mount("-o", "remount,bind,ro", str(folder))


def _raise_loopback() -> None:
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))


async def _serve(way_in: Path, port: int, adbd: subprocess.Popen[bytes]) -> None:
    await _until_listening(port)

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))

    server = await asyncio.start_unix_server(enter, str(way_in))
    async with server:
        while adbd.poll() is None:
            await asyncio.sleep(0.2)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(1 << 16):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _until_listening(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    sys.exit("adbd does not listen")


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:])
