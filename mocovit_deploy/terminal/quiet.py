"""Hide the converters' warnings, C++ logs and progress bars.

C++ libraries write to the file descriptors, not to sys.stdout, so the descriptors are redirected.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def quiet(enabled: bool = True) -> Iterator[TextIO]:
    """Send what is written to stdout and stderr inside the block to a temporary file that is discarded.

    Yields a stream that still reaches the user's stderr, for progress and for messages.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if not enabled:
        yield sys.stderr
        return
    saved = [os.dup(1), os.dup(2)]
    try:
        with (
            tempfile.TemporaryFile() as hidden,
            os.fdopen(os.dup(saved[1]), "w", buffering=1) as real_stderr,
        ):
            os.dup2(hidden.fileno(), 1)
            os.dup2(hidden.fileno(), 2)
            yield real_stderr
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        for descriptor in saved:
            os.close(descriptor)
