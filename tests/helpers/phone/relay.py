"""A TCP address on the loopback that leads to a phone's Unix socket, and can break at any moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 16


class Relay:
    """One way to one phone. `cut` breaks it now, `cut_after` when so many more bytes were sent."""

    def __init__(self, phone: Path) -> None:
        self._phone = phone
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._left: int | None = None
        self.refusing = False
        """Whether new connections are closed at once, as after the cable was pulled."""
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """As `adb connect` takes it, and the phone's serial then."""
        return f"127.0.0.1:{self._port}"

    def cut(self) -> None:
        """Break every connection there is."""
        with self._guard:
            broken, self._open = self._open, set()
        for each in broken:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def cut_after(self, to_phone: int, *, for_good: bool) -> None:
        """Break when so many more bytes were sent; `for_good`: and refuse from then on."""
        self._left, self._for_good = to_phone, for_good

    def cut_off(self) -> None:
        """Break, and refuse from then on."""
        self.refusing = True
        self.cut()

    def close(self) -> None:
        self.cut_off()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                outer, _ = self._listener.accept()
            except OSError:
                return
            inner = socket.socket(socket.AF_UNIX)
            try:
                if self.refusing:
                    raise OSError
                inner.connect(str(self._phone))
            except OSError:
                outer.close()
                inner.close()
                continue
            with self._guard:
                self._open |= {outer, inner}
            threading.Thread(target=self._pump, args=(outer, inner, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(inner, outer, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, to_phone: bool) -> None:
        try:
            while chunk := source.recv(_CHUNK):
                sink.sendall(chunk)
                if to_phone and self._left is not None:
                    self._left -= len(chunk)
                    if self._left <= 0:
                        self._left, self.refusing = None, self._for_good
                        self.cut()
        except OSError:
            pass
        finally:
            for each in (source, sink):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()


@contextlib.contextmanager
def relay(phone: Path) -> Iterator[Relay]:
    made = Relay(phone)
    try:
        yield made
    finally:
        made.close()
