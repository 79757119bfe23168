"""How much work the file of a picture is, told from its outside before anything decodes it.

Small files can be much work: thousands of scans over one picture, millions of empty pieces, pieces that all mean the
same bytes, a small picture in a list that is a large one inside.
"""

import re
import struct
from collections.abc import Iterator

from perception.images.errors import MAX_PIXELS, ImageError, check_size

MAX_PIECES = 100_000
"""Pieces (segments, chunks, blocks) of a file; a file of 64 MiB in pieces of 1 KiB has fewer."""
MAX_SCANS = 100
"""Passes over a progressive JPEG; encoders make about ten."""
MAX_SCANNED = 20 * MAX_PIXELS
"""Pixels times passes."""
MAX_HEADER = 2**16
"""Bytes of comments before the pixels of a PPM, and of what stands between the segments of a JPEG."""

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_BLANK = re.compile(rb"(?:\s|#[^\r\n]*(?:[\r\n]|\Z))*")
_WORD = re.compile(rb"[^\s#]*")
_TIFF_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


def check_work(data: bytes, shown: str) -> None:
    """Raises ImageError for the bytes of a file whose decoding would take out of all proportion."""
    for begins, walk in _WALKS:
        if begins.match(data):
            try:
                for count, _ in enumerate(walk(data, shown)):
                    if count >= MAX_PIECES:
                        raise ImageError(f"{shown} is in over {MAX_PIECES:,} pieces, too many; save it anew")
            except (IndexError, struct.error):
                return  # it ends too early, as its decoder will find
            return


def check_scans(data: bytes, size: tuple[int, int], shown: str) -> None:
    """Raises ImageError for a JPEG of (width, height) pixels with so many scans that decoding them takes too long."""
    scans = sum(marker == 0xDA for marker in _jpeg(data, shown))
    if scans > MAX_SCANS or scans * size[0] * size[1] > max(MAX_SCANNED, size[0] * size[1]):
        raise ImageError(
            f"{shown} is a JPEG in {scans} scans over {size[0]} x {size[1]} pixels, which takes too long; save it anew"
        )


def _jpeg(data: bytes, shown: str) -> Iterator[int]:
    """The markers of its segments, up to the end of the first picture."""
    place, between, pixels = 2, 0, False
    while found := _MARKER.search(data, place):
        between += 0 if pixels else found.start() - place
        if between > MAX_HEADER:
            raise ImageError(f"{shown} has over {MAX_HEADER >> 10} KiB of nothing between its segments; save it anew")
        marker, place = data[found.start() + 1], found.end()
        yield marker
        if marker == 0xD9:
            return
        if marker not in (0x01, 0xD8):
            place += max(int.from_bytes(data[place : place + 2], "big"), 2)
        pixels |= marker == 0xDA


def _png(data: bytes, shown: str) -> Iterator[int]:
    place = 8
    while place + 8 <= len(data):
        yield place
        place += 12 + int.from_bytes(data[place : place + 4], "big")


def _gif(data: bytes, shown: str) -> Iterator[int]:
    """Blocks and their parts up to the first picture."""
    place = 13 + (3 << (data[10] & 7) + 1 if data[10] & 128 else 0)
    while data[place] == 0x21:
        place += 2
        while size := data[place]:
            yield place
            place += size + 1
        yield place
        place += 1


def _jpeg2000(data: bytes, shown: str) -> Iterator[int]:
    place = 0
    while place + 8 <= len(data):
        yield place
        size = int.from_bytes(data[place : place + 4], "big")
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        # Boxes inside of the header follow it as if they were beside it.
        place += 8 if data[place + 4 : place + 8] in (b"jp2h", b"res ") else max(size, 8) if size else len(data)


def _tiff(data: bytes, shown: str) -> Iterator[int]:
    """The entries of the first directory: together they may not mean more bytes than a file can have."""
    order, big = ("<" if data[:2] == b"II" else ">"), data[2:4] in (b"+\0", b"\0+")
    (place,) = struct.unpack_from(order + ("Q" if big else "L"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, place)
    place += 8 if big else 2
    meant = 0
    for number in range(min(count, MAX_PIECES + 1)):
        _, kind, values = struct.unpack_from(
            order + ("HHQ" if big else "HHL"), data, place + number * (20 if big else 12)
        )
        meant += values * _TIFF_BYTES.get(kind, 0)
        if meant > 2 * len(data) + MAX_HEADER:
            raise ImageError(f"{shown} is damaged: its entries are larger than the file")
        yield number


def _ppm(data: bytes, shown: str) -> Iterator[int]:
    place = 2
    for number in range(4):
        found = _BLANK.match(data, place)
        assert found is not None
        if found.end() - place > MAX_HEADER:
            raise ImageError(f"{shown} has over {MAX_HEADER >> 10} KiB of comments before its pixels; save it anew")
        word = _WORD.match(data, found.end())
        assert word is not None
        place = word.end()
        yield number
        if number == 2 or place - found.end() > 20:
            return


def _ico(data: bytes, shown: str) -> Iterator[int]:
    """Every picture in it has the size that it says inside, where its decoder believes it."""
    for number in range(int.from_bytes(data[4:6], "little")):
        (place,) = struct.unpack_from("<L", data, 6 + 16 * number + 12)
        if data[place : place + 8] == b"\x89PNG\r\n\x1a\n":
            check_size(struct.unpack_from(">LL", data, place + 16), shown)
        elif len(data) >= place + 12:
            width, height = struct.unpack_from("<ll", data, place + 4)
            check_size((abs(width), max(abs(height) // 2, 1)), shown)
        yield number


_WALKS = [
    (re.compile(begins), walk)
    for begins, walk in (
        (rb"\xff\xd8\xff", _jpeg),
        (rb"\x89PNG\r\n\x1a\n", _png),
        (rb"GIF8[79]a", _gif),
        (rb"\x00\x00\x00\x0cjP  ", _jpeg2000),
        (rb"II[*+]\x00|MM\x00[*+]", _tiff),
        (rb"P[0-9A-Za-z]", _ppm),
        (rb"\x00\x00\x01\x00", _ico),
    )
]
