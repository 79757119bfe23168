"""Netpbm's pictures whose pixels Pillow reads one by one: those in plain text, and those of an odd largest value."""

import re
import warnings

import numpy as np

from perception.images.errors import ImageError, check_size

_COMMENT = re.compile(rb"#[^\r\n]*[\r\n]?")
_HEADER = re.compile(rb"P([1-6])(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})")
_LARGEST = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})")


def read_netpbm(data: bytes, shown: str) -> np.ndarray | None:
    """(H, W) uint8 or uint16, or (H, W, 3) uint8, of the bytes of such a file; None for any other.

    Raises ImageError for a damaged one."""
    found = _HEADER.match(data)
    if found is None:
        return None
    number, width, height = map(int, found.groups())
    place, largest = found.end(), 1
    if number not in (1, 4):
        after = _LARGEST.match(data, place)
        if after is None:
            return None
        place, largest = after.end(), int(after[1])
    if number == 4 or (number > 4 and largest in ((255, 65535) if number == 5 else (255,))):
        return None
    check_size((width, height), shown)
    damaged = f"{shown} is truncated or damaged and cannot be decoded; give a complete file"
    if not 0 < largest < 65536:
        raise ImageError(damaged)
    shape = (height, width) if number in (1, 2, 5) else (height, width, 3)
    count = int(np.prod(shape))
    values = _plain(data[place:], number, count) if number < 4 else _raw(data, place + 1, largest, count)
    if len(values) < count or values.min() < 0 or values.max() > largest:
        raise ImageError(damaged)
    if number == 1:
        return (1 - values.reshape(shape)).astype(np.uint8) * 255
    most = 65535 if largest > 255 and len(shape) == 2 else 255
    table = np.rint(np.arange(largest + 1) / largest * most).astype(np.uint8 if most == 255 else np.uint16)
    return table[values.reshape(shape)]


def _plain(body: bytes, number: int, count: int) -> np.ndarray:
    text = _COMMENT.sub(b" ", body) if b"#" in body else body
    if number == 1:  # its digits need nothing between them
        return np.frombuffer(b"".join(text.split()), np.uint8)[:count].astype(np.int16) - ord("0")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        try:
            return np.fromstring(text, np.int32, sep=" ")[:count]  # type: ignore[call-overload]
        except (DeprecationWarning, ValueError):
            return np.zeros(0, np.int32)


def _raw(data: bytes, place: int, largest: int, count: int) -> np.ndarray:
    kind = np.dtype(">u2" if largest > 255 else "u1")
    return np.frombuffer(data, kind, min(count, max(len(data) - place, 0) // kind.itemsize), min(place, len(data)))
