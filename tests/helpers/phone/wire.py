"""The messages of adb's protocol, and the streams in them (protocol.txt in Android's source)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable


def _command(word: str) -> int:
    return int.from_bytes(word.encode(), "little")


CNXN, OPEN, OKAY, WRTE, CLSE, AUTH = map(_command, ("CNXN", "OPEN", "OKAY", "WRTE", "CLSE", "AUTH"))
VERSION, MOST_BYTES = 0x01000001, 1 << 18
_HEADER = struct.Struct("<6I")
_TOKEN = 1


class Stream:
    """One service that a client opened."""

    def __init__(self, connection: Connection, ours: int, theirs: int) -> None:
        self._connection, self.ours, self.theirs = connection, ours, theirs
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._acknowledged = asyncio.Event()
        self._writing = asyncio.Lock()
        self._rest = b""
        self.closed = asyncio.Event()

    async def write(self, data: bytes) -> None:
        """Send; one message at a time, as the protocol asks."""
        async with self._writing:
            for at in range(0, len(data), MOST_BYTES):
                if self.closed.is_set():
                    raise EOFError
                self._acknowledged.clear()
                await self._connection.send(WRTE, self.ours, self.theirs, data[at : at + MOST_BYTES])
                await self._acknowledged.wait()

    async def read(self, size: int) -> bytes:
        """Exactly `size` bytes; `EOFError` when the client is gone before."""
        while len(self._rest) < size:
            chunk = await self._incoming.get()
            if not chunk:
                raise EOFError
            self._rest += chunk
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def feed(self, data: bytes) -> None:
        self._incoming.put_nowait(data)

    def acknowledge(self) -> None:
        self._acknowledged.set()

    def end(self) -> None:
        """The client is gone: whoever waits is woken."""
        self.closed.set()
        self._acknowledged.set()
        self._incoming.put_nowait(b"")

    async def close(self) -> None:
        if not self.closed.is_set():
            self.end()
            await self._connection.send(CLSE, self.ours, self.theirs)


Service = Callable[[Stream, str], Awaitable[bool]]
"""Serves a stream by the name it was opened with; False for a service that is not offered."""


class Connection:
    """One adb server that talks to us."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, banner: str, service: Service
    ) -> None:
        self._reader, self._writer, self._banner, self._service = reader, writer, banner, service
        self._streams: dict[int, Stream] = {}
        self._next = 1

    async def send(self, command: int, one: int, two: int, data: bytes = b"") -> None:
        # The checksum has not been looked at since version 0x01000001.
        self._writer.write(_HEADER.pack(command, one, two, len(data), 0, command ^ 0xFFFFFFFF) + data)
        await self._writer.drain()

    async def run(self, *, trusting: bool) -> None:
        """Serve until the other side goes. Without trust, every introduction is answered by a question."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                command, one, two, size, _, magic = _HEADER.unpack(await self._reader.readexactly(24))
                if magic != command ^ 0xFFFFFFFF or size > 1 << 20:
                    break
                data = await self._reader.readexactly(size)
                if command in (CNXN, AUTH):
                    if trusting:
                        await self.send(CNXN, VERSION, MOST_BYTES, self._banner.encode())
                    else:
                        await self.send(AUTH, _TOKEN, 0, bytes(20))
                elif command == OPEN:
                    stream = Stream(self, self._next, one)
                    self._streams[self._next] = stream
                    self._next += 1
                    task = asyncio.create_task(self._serve(stream, data.rstrip(b"\0").decode()))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                elif two in self._streams:
                    await self._continue(command, self._streams[two], data)
        except (asyncio.IncompleteReadError, OSError):
            pass
        for stream in self._streams.values():
            stream.end()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._writer.close()

    async def _continue(self, command: int, stream: Stream, data: bytes) -> None:
        if command == WRTE:
            stream.feed(data)
            await self.send(OKAY, stream.ours, stream.theirs)
        elif command == OKAY:
            stream.acknowledge()
        elif command == CLSE:
            del self._streams[stream.ours]
            stream.end()
            await self.send(CLSE, stream.ours, stream.theirs)

    async def _serve(self, stream: Stream, name: str) -> None:
        try:
            if not await self._service(stream, name):
                stream.end()
                await self.send(CLSE, 0, stream.theirs)
            else:
                await stream.close()
        except (EOFError, OSError):
            pass
        finally:
            self._streams.pop(stream.ours, None)

    async def accept(self, stream: Stream) -> None:
        await self.send(OKAY, stream.ours, stream.theirs)
