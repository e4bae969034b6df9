"""A time after which a whole command ends, in the middle of its work."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from mocovit_deploy.errors import TransientDeviceError


class OverdueError(TransientDeviceError):
    """The command's own deadline has passed. Nothing is retried after it."""


@contextlib.contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Raise `OverdueError` inside the block after `seconds`, so that every `finally` runs. None: no deadline.

    Outside the main thread there is no deadline, as signals reach only the main thread.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(_number: int, _frame: FrameType | None) -> NoReturn:
        raise OverdueError(
            f"the command did not end within its deadline of {seconds:g} s; give it more with --deadline-s"
        )

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
