"""Arrays in `.npz` files, read without trusting their headers.

numpy allocates what a header declares before it looks at how many bytes there are. Here the two are compared
first.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mocovit_deploy.untrusted.read import LARGEST_FILE
from mocovit_deploy.untrusted.zip import Damaged, open_stored_zip

KINDS = "biufU"
"""numpy's kinds of element types that are read: numbers and text.

Objects are pickles, which run code. This project never writes the remaining kinds.
"""

_SUFFIX = ".npy"
_LAST_CHARACTER = 0x10FFFF


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an uncompressed `.npz` file by name.

    Raises `Damaged` for anything else: compressed members, an array whose header and bytes disagree, an
    element type not in `KINDS`. Raises `OSError` if the file cannot be read.
    """
    with open_stored_zip(path, LARGEST_FILE) as archive:
        return {
            member.filename.removesuffix(_SUFFIX): _array(archive.read(member), member.filename)
            for member in archive.infolist()
        }


def _array(data: bytes, name: str) -> npt.NDArray[Any]:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, fortran_order, dtype = read_header[version](stream)
    except Exception as error:  # the header is a Python literal, and Python's parser raises many things
        raise Damaged(f"{name} has no array header ({type(error).__name__})") from error
    if dtype.kind not in KINDS or dtype.itemsize == 0:
        raise Damaged(f"{name} holds {str(dtype)[:40]}, not numbers or text")
    if not all(type(length) is int and 0 <= length <= LARGEST_FILE for length in shape):
        raise Damaged(f"{name} has shape {str(shape)[:80]}")
    declared, there = math.prod(shape) * dtype.itemsize, len(data) - stream.tell()
    if declared != there:
        raise Damaged(f"{name} declares shape {shape}, which is {declared:,} bytes, but holds {there:,}")
    if dtype.kind == "U" and declared:
        characters = np.frombuffer(data, f"{dtype.byteorder}u4", offset=stream.tell())
        if characters.max() > _LAST_CHARACTER:
            raise Damaged(f"{name} holds text that is not Unicode")
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran_order else "C").astype(dtype.newbyteorder("="))
