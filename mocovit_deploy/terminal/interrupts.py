"""Ctrl-C and SIGTERM, handled once for a whole process.

Libraries that a command calls may swallow `KeyboardInterrupt` (jax, which litert-torch imports, does). So the
handler raises and also remembers the signal, and long work calls `raise_if_interrupted` between its stages.
The memory is a module variable because signals belong to the process.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

TERMINATED = 143
"""What a shell reports for a program ended by SIGTERM."""

_seen = threading.Event()


def raise_if_interrupted() -> None:
    """Raise `KeyboardInterrupt` if Ctrl-C was pressed, even if a library swallowed that exception."""
    if _seen.is_set():
        raise KeyboardInterrupt


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Inside the block, Ctrl-C raises `KeyboardInterrupt` and is remembered; SIGTERM raises `SystemExit`.

    So every `finally` runs. The former handlers are restored at the end. Outside the main thread nothing
    changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _seen.clear()
    before = signal.signal(signal.SIGINT, _interrupt), signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
        _seen.clear()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    _seen.set()
    raise KeyboardInterrupt


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)
