"""Samples on which a file answers another class than the original network, each with the original's
margin."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.artifacts.golden import Golden


def flips(golden: Golden, found: Mapping[str, Array]) -> tuple[str, ...]:
    """One line for each row of a classifier's output whose largest element is another.

    Outputs are (samples, batch, classes).

    The margin is the original's score for its own class minus its score for the file's class, relative to the
    range of the output. A flip can only happen if the margin is at most twice the error of the file.

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
