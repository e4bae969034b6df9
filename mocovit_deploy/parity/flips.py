"""Samples on which a file names another class than the original network, each with the original's margin."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.golden import Golden


def flips(golden: Golden, found: Mapping[str, Array]) -> tuple[str, ...]:
    """One line for each row of a classifier's output, (samples, batch, classes), whose largest element moved.

    The margin is how far the original's own class stands above the file's one in the original, relative to
    the range of the output: a flip with a margin above the error of the file cannot be.

    >>> golden = Golden(("cat", "dog"), {}, {"logits": np.array([[[0.0, 4.0]], [[2.1, 2.0]]])})
    >>> flips(golden, {"logits": np.array([[[0.0, 4.1]], [[2.0, 2.1]]])})
    ('logits on dog: class 1, the original says 0 with a margin of 2.5e-02 of the range',)
    """
    lines = []
    for name in golden.outputs:
        expected = golden.exact(name)
        scores = expected.ndim == 3 and expected.shape[-1] > 1 and expected.dtype.kind == "f"
        if not scores or not np.isfinite(expected).all():
            continue
        spread = float(expected.max() - expected.min()) or 1.0
        ours, theirs = expected.argmax(-1), np.asarray(found[name]).argmax(-1)
        for sample, row in np.argwhere(ours != theirs):
            own, other = ours[sample, row], theirs[sample, row]
            margin = float(expected[sample, row, own] - expected[sample, row, other]) / spread
            place = f" (image {row} of the batch)" if expected.shape[1] > 1 else ""
            lines.append(
                f"{name} on {golden.names[sample]}{place}: class {other}, the original says {own} with a "
                f"margin of {margin:.1e} of the range"
            )
    return tuple(lines)
