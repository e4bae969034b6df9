"""A small adbd in Python, for machines without user namespaces: shell, push and stat; nothing else.

python small_daemon.py ROOT QEMU SOCKET [untrusting]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from phone.sandbox import Sandbox
from phone.wire import Connection, Stream

_FEATURES = "shell_v2,cmd,stat_v2,ls_v2,fixed_push_mkdir"
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_STAT2 = struct.Struct("<IQQIIIIQqqq")


class Services:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, stream: Stream, name: str, connection: Connection) -> bool:
        kind, _, argument = name.partition(":")
        if kind.split(",")[0] == "shell" and argument:
            await connection.accept(stream)
            await self._shell(stream, argument)
        elif kind == "sync":
            await connection.accept(stream)
            await self._sync(stream)
        else:
            return False
        return True

    async def _shell(self, stream: Stream, text: str) -> None:
        """Shell protocol 2. A client that goes is SIGHUP and the end of input, as with adbd."""
        box = self._sandbox
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            box.command(text),
            stdin=-1,
            stdout=-1,
            stderr=-1,
            cwd=box.root,
            env=box.environment(),
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        say = [
            asyncio.create_task(self._out(stream, process.stdout, _STDOUT)),
            asyncio.create_task(self._out(stream, process.stderr, _STDERR)),
        ]
        hear = asyncio.create_task(self._in(stream, process.stdin))
        gone = asyncio.create_task(stream.closed.wait())
        finished = asyncio.gather(*say, return_exceptions=True)
        await asyncio.wait([finished, gone], return_when=asyncio.FIRST_COMPLETED)
        if stream.closed.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGHUP)
            process.stdin.close()
            for task in say:
                task.cancel()
            # Left open, these would hold a program that is still writing until Python collects them.
            transport = process._transport  # type: ignore[attr-defined]
            for number in (1, 2):
                transport.get_pipe_transport(number).close()
        status = await process.wait()
        for task in (hear, gone):
            task.cancel()
        if not stream.closed.is_set():
            await stream.write(struct.pack("<BIB", _EXIT, 1, status & 255 if status >= 0 else 128 - status))

    async def _out(self, stream: Stream, source: asyncio.StreamReader, ident: int) -> None:
        while data := self._sandbox.printed(await source.read(1 << 16)):
            await stream.write(struct.pack("<BI", ident, len(data)) + data)

    async def _in(self, stream: Stream, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                ident, size = struct.unpack("<BI", await stream.read(5))
                data = await stream.read(size)
                if ident == _STDIN:
                    sink.write(data)
                    await sink.drain()
                elif ident == _CLOSE_STDIN:
                    sink.close()

    async def _sync(self, stream: Stream) -> None:
        """The sub-protocol of push: STAT, LSTAT2, STAT2 and SEND."""
        while True:
            ident, size = struct.unpack("<4sI", await stream.read(8))
            if ident == b"QUIT":
                return
            argument = (await stream.read(size)).decode()
            if ident in (b"STAT", b"STA2", b"LST2"):
                await stream.write(self._stat(ident, argument))
            elif ident == b"SEND":
                await self._receive(stream, argument)
            else:
                await _fail(stream, "unknown request")
                return

    def _stat(self, ident: bytes, argument: str) -> bytes:
        try:
            s = self._sandbox.bytes_of(argument).stat()
        except OSError as error:
            return ident + (bytes(12) if ident == b"STAT" else _STAT2.pack(error.errno or 2, *[0] * 10))
        if ident == b"STAT":
            return ident + struct.pack("<III", s.st_mode, s.st_size & 0xFFFFFFFF, int(s.st_mtime))
        times = (int(s.st_atime), int(s.st_mtime), int(s.st_ctime))
        return ident + _STAT2.pack(
            0, s.st_dev, s.st_ino, s.st_mode, s.st_nlink, s.st_uid, s.st_gid, s.st_size, *times
        )

    async def _receive(self, stream: Stream, argument: str) -> None:
        inside, _, mode = argument.rpartition(",")
        path, failed = self._sandbox.path(inside), ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            sink = path.open("wb")
        except OSError as error:
            failed = error.strerror or "error"
            sink = Path(os.devnull).open("wb")  # noqa: SIM115 - closed below
        with sink:
            while True:
                ident, size = struct.unpack("<4sI", await stream.read(8))
                if ident == b"DONE":
                    break
                sink.write(await stream.read(size))
        if failed:
            await _fail(stream, f"couldn't create file: {failed}")
            return
        path.chmod(int(mode) & 0o777 | 0o600)
        self._sandbox.arrived(path)
        await stream.write(b"OKAY" + bytes(4))


async def _fail(stream: Stream, message: str) -> None:
    await stream.write(b"FAIL" + struct.pack("<I", len(message)) + message.encode())


async def serve(root: Path, qemu: str, address: str, *, trusting: bool) -> None:
    services = Services(Sandbox(root, qemu))
    banner = (
        f"device::ro.product.name=small;ro.product.model=small;ro.product.device=small;features={_FEATURES}"
    )

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def service(stream: Stream, name: str) -> bool:
            return await services(stream, name, connection)

        connection = Connection(reader, writer, banner, service)
        await connection.run(trusting=trusting)

    server = await asyncio.start_unix_server(enter, address)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3], trusting="untrusting" not in sys.argv[4:]))
