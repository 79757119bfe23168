"""Whatever people give for a picture -> one RGB picture."""

import base64
import binascii
import os
import re
import stat
import urllib.parse
from pathlib import Path

import numpy as np
from PIL import Image

from perception.images.colours import from_array, to_rgb
from perception.images.decoding import ROOM, decode, too_large
from perception.images.errors import MAX_BYTES, SOURCES, ImageError, check_size, shortened

_DATA_URL = re.compile(r"data:(?P<head>[^,]*),", re.IGNORECASE)


def load_image(source) -> Image.Image:
    """One RGB picture, upright, from a path (str or Path), the bytes of a file, a data: URL, a PIL image or an array.

    EXIF orientation is applied, transparency laid on white, 16 bits scaled to 8, and of an animation the first frame
    taken. Arrays are (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA: uint8, uint16 (0..65535), bool, or floats in
    0..1. Raises ImageError, with one sentence, for anything else: what is missing, truncated, not a picture or in an
    unknown format, has no pixels, is over 50 times as long as wide (or wide as long), exceeds 64 million pixels
    (checked before decoding) or 64 MiB, or would take far too long to decode. Large pictures are decoded in turn.
    """
    try:
        return _load(source)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("the picture does not fit into memory; give a smaller one") from error
    except Exception as error:  # of objects that only look like a picture or a path
        kind = type(source).__name__
        raise ImageError(f"the {kind} cannot be read as a picture ({type(error).__name__}); give {SOURCES}") from error


def _load(source) -> Image.Image:
    if isinstance(source, Image.Image):
        return _from_pil(source)
    if isinstance(source, np.ndarray):
        return from_array(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode(bytes(source), "the data")
    if isinstance(source, str) and (start := _DATA_URL.match(source)):
        return decode(_data_url(start["head"], source[start.end() :]), "the data: URL")
    if isinstance(source, (str, os.PathLike)):
        return _from_path(source)
    raise ImageError(f"a picture cannot be made of {type(source).__name__}; give {SOURCES}")


def _data_url(head: str, body: str) -> bytes:
    if len(body) > MAX_BYTES * 4 // 3 + 4:
        raise ImageError(f"the data: URL is too large; pictures of up to {MAX_BYTES >> 20} MiB are read")
    if head.lower().endswith(";base64"):
        try:
            return base64.b64decode("".join(urllib.parse.unquote(body).split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ImageError("the data: URL does not hold valid base64, which a picture in one must be") from error
    return urllib.parse.unquote_to_bytes(body)


def _from_path(source: str | os.PathLike) -> Image.Image:
    name = os.fsdecode(os.fspath(source))
    if not name.strip():
        raise ImageError(f"the path of the picture is empty; give {SOURCES}")
    shown = shortened(name)
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", name):
        raise ImageError(
            f"{shown} is a web address, and nothing is fetched from the network; download it, and give its path"
        )
    try:
        path = Path(name).expanduser()
        status = path.stat()
    except FileNotFoundError as error:
        raise ImageError(f"there is no file {shown}; give the path of a picture") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ImageError(f"{shown} is not a path that can be opened; give the path of a picture") from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(f"{shown} is a folder; give the path of one picture")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{shown} is not a regular file; give the path of a picture")
    if status.st_size > MAX_BYTES:
        raise too_large(shown, status.st_size)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"{shown} cannot be read ({error.strerror or 'input error'}); check its permissions"
        ) from error
    return decode(data, shown)


def _from_pil(picture: Image.Image) -> Image.Image:
    check_size(picture.size, "the picture")
    with ROOM.taken(*picture.size):
        try:
            picture.load()
        except Exception as error:
            raise ImageError(
                "the picture is truncated or damaged and cannot be decoded; give a complete one"
            ) from error
        return to_rgb(picture, "the picture")
