"""The bytes of a file -> a picture, with no more work than its size warrants."""

import io
import sys
from functools import lru_cache

from PIL import Image

from perception.images.colours import from_array, to_rgb
from perception.images.containers import check_scans, check_work
from perception.images.errors import ALLOWED, MAX_BYTES, MAX_PIXELS, ImageError, check_size
from perception.images.netpbm import read_netpbm
from perception.images.room import Room

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO")
"""Formats that are read. Others that Pillow knows are left out: some of them start programs (EPS)."""
ROOM = Room()
"""For pictures that are being decoded."""

# Pillow's own: ultralytics, which keeps it by this name, puts one there that installs packages for an unknown file.
_open = getattr(sys.modules.get(Image.open.__module__), "_image_open", Image.open)


@lru_cache(maxsize=1)
def _formats() -> list[str]:
    """Those of FORMATS that this build of Pillow has."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


class _Watched(io.BytesIO):
    """Bytes of a file that notice when a decoder asks for more than there is.

    Whether Pillow raises for a truncated file hangs on a setting of its own that any library may have changed.
    """

    ran_out = False

    def read(self, size=-1, /):
        data = super().read(size)
        self.ran_out |= not data and size != 0
        return data


def too_large(shown: str, size: int) -> ImageError:
    """For a file of so many bytes."""
    return ImageError(f"{shown} has {size / 2**20:.0f} MiB; pictures of up to {MAX_BYTES >> 20} MiB are read")


def decode(data: bytes, shown: str) -> Image.Image:
    """The RGB picture in the bytes of a file, called `shown` in what is said of it; raises ImageError."""
    if not data:
        raise ImageError(f"{shown} is empty; give a picture ({ALLOWED})")
    if len(data) > MAX_BYTES:
        raise too_large(shown, len(data))
    check_work(data, shown)
    with ROOM.taken(len(data), 1):
        if (pixels := read_netpbm(data, shown)) is not None:
            return from_array(pixels)
    file = _Watched(data)
    try:
        picture = _open(file, formats=_formats())
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{shown} is not a picture in a known format; {ALLOWED}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{shown} has too many pixels; up to {MAX_PIXELS:,} are allowed") from error
    except Exception as error:
        raise ImageError(f"{shown} is damaged: its header cannot be read; {ALLOWED}") from error
    with picture:
        check_size(picture.size, shown)
        if picture.format in ("JPEG", "MPO"):
            check_scans(data, picture.size, shown)
        with ROOM.taken(*picture.size):
            return _loaded(picture, file, shown)


def _loaded(picture: Image.Image, file: _Watched, shown: str) -> Image.Image:
    file.ran_out = False
    damaged = f"{shown} is truncated or damaged and cannot be decoded; give a complete file"
    try:
        picture.load()
    except Exception as error:
        raise ImageError(damaged) from error
    # A decoder of JPEG 2000 asks for more than there is of complete files too.
    whole = _has_end(file.getvalue()) if picture.format == "JPEG2000" else not file.ran_out
    if not whole:
        raise ImageError(damaged)
    return to_rgb(picture, shown)


def _has_end(data: bytes) -> bool:
    """Whether the code stream of a JPEG 2000 file has its end marker, which nothing else in a stream looks like."""
    return data.rfind(b"\xff\xd9") > data.find(b"\xff\x4f\xff\x51") >= 0
