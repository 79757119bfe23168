"""Loading pictures from people: one RGB picture, or one sentence that says what is wrong and what is allowed.

`Pixels` are a picture that is loaded once and hashed once however many experts ask for it.
"""

import base64
import binascii
import hashlib
import io
import os
import re
import stat
import urllib.parse
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO")
"""Formats that are read. Others that Pillow knows are left out: some of them start programs (EPS)."""
MAX_PIXELS = 64_000_000
MAX_BYTES = 64 * 2**20
MAX_ASPECT = 50

# Pillow's own, taken before ultralytics may put one in its place that installs packages when it meets an unknown file.
_open = Image.open
_ALLOWED = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and JPEG 2000 are read"
_SOURCES = "a path, the bytes of a file, a data: URL, a PIL image or a numpy array"
_DATA_URL = re.compile(r"data:(?P<head>[^,]*),", re.IGNORECASE)


class ImageError(ValueError):
    """A picture that cannot be used; the message is one sentence for the person who gave it."""


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


def load_image(source) -> Image.Image:
    """One RGB picture, upright, from a path (str or Path), the bytes of a file, a data: URL, a PIL image or an array.

    EXIF orientation is applied, transparency laid on white, 16 bits scaled to 8, and of an animation the first frame
    taken. Arrays are (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA: uint8, uint16 (0..65535), bool, or floats in
    0..1. Raises ImageError, with one sentence, for anything else: what is missing, truncated, not a picture or in an
    unknown format, has no pixels, is over 50 times as long as wide (or wide as long), or exceeds 64 million pixels
    (checked before decoding) or 64 MiB.
    """
    if isinstance(source, Image.Image):
        return _from_pil(source)
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_bytes(bytes(source), "the data")
    if isinstance(source, str) and (start := _DATA_URL.match(source)):
        return _from_bytes(_data_url(start["head"], source[start.end() :]), "the data: URL")
    if isinstance(source, (str, os.PathLike)):
        return _from_path(source)
    raise ImageError(f"a picture cannot be made of {type(source).__name__}; give {_SOURCES}")


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
    name = os.fspath(source)
    name = os.fsdecode(name) if isinstance(name, bytes) else name
    if not name.strip():
        raise ImageError(f"the path of the picture is empty; give {_SOURCES}")
    shown = name if len(name) <= 120 else name[:117] + "..."
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
        raise ImageError(_too_large(shown, status.st_size))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"{shown} cannot be read ({error.strerror or 'input error'}); check its permissions"
        ) from error
    return _from_bytes(data, shown)


def _too_large(shown: str, size: int) -> str:
    return f"{shown} has {size / 2**20:.0f} MiB; pictures of up to {MAX_BYTES >> 20} MiB are read"


def _from_bytes(data: bytes, shown: str) -> Image.Image:
    if not data:
        raise ImageError(f"{shown} is empty; give a picture ({_ALLOWED})")
    if len(data) > MAX_BYTES:
        raise ImageError(_too_large(shown, len(data)))
    file = _Watched(data)
    try:
        picture = _open(file, formats=_formats())
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{shown} is not a picture in a known format; {_ALLOWED}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{shown} has too many pixels; up to {MAX_PIXELS:,} are allowed") from error
    except Exception as error:
        raise ImageError(f"{shown} is damaged: its header cannot be read; {_ALLOWED}") from error
    with picture:
        _check_size(picture.size, shown)
        file.ran_out = False
        damaged = f"{shown} is truncated or damaged and cannot be decoded; give a complete file"
        try:
            picture.load()
        except Exception as error:
            raise ImageError(damaged) from error
        if file.ran_out:
            raise ImageError(damaged)
        return _to_rgb(picture, shown)


def _check_size(size: tuple[int, int], shown: str) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"{shown} has no pixels ({width} x {height}); a picture needs at least one")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{shown} has {width} x {height} pixels, too many; up to {MAX_PIXELS:,} are allowed")
    if max(size) > MAX_ASPECT * min(size):
        raise ImageError(f"{shown} is {width} x {height} pixels; one side may be at most {MAX_ASPECT} times the other")


def _from_pil(picture: Image.Image) -> Image.Image:
    _check_size(picture.size, "the picture")
    try:
        picture.load()
    except Exception as error:
        raise ImageError("the picture is truncated or damaged and cannot be decoded; give a complete one") from error
    return _to_rgb(picture, "the picture")


def _to_rgb(picture: Image.Image, shown: str) -> Image.Image:
    try:
        upright = ImageOps.exif_transpose(picture)
    except Exception:  # damaged metadata must not cost the picture
        upright = picture
    try:
        if upright.mode.startswith(("I", "F")):
            return _from_array(_deep_grey(upright, shown))
        if upright.mode == "La":  # Pillow knows no direct way from here to RGBA
            upright = upright.convert("LA")
        if upright.mode in ("LA", "PA", "RGBA", "RGBa") or upright.has_transparency_data:
            return _on_white(upright.convert("RGBA"))
        # A fresh picture in every case: the caller may close or change the one it gave.
        rgb = upright.convert("RGB")
        clean = Image.new("RGB", rgb.size)
        clean.paste(rgb)
        return clean
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"{shown} has pixels of a kind that is not read ({upright.mode}); save it as RGB") from error


def _on_white(picture: Image.Image) -> Image.Image:
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _deep_grey(picture: Image.Image, shown: str) -> np.ndarray:
    """(H, W) uint8 or uint16 of a picture with more than 8 bits a pixel."""
    values = np.asarray(picture)
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        if low >= 0 and high <= 1:
            return (values * 255).round().astype(np.uint8)
        if low >= 0 and high <= 255:
            return values.round().astype(np.uint8)
        raise ImageError(f"{shown} has floating-point pixels outside of 0..1 and 0..255; scale them first")
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(f"{shown} has 32-bit pixels outside of 0..65535; scale them to 8 or 16 bits first")
    return values.astype(np.uint16)


def _from_array(pixels: np.ndarray) -> Image.Image:
    shape = " x ".join(map(str, pixels.shape)) or "no dimension"
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)):
        raise ImageError(f"an array of shape {shape} is no picture; (H, W), (H, W, 3) RGB or (H, W, 4) RGBA is")
    _check_size((pixels.shape[1], pixels.shape[0]), "the array")
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    elif pixels.dtype.kind == "u" and pixels.dtype.itemsize == 2:
        # 65535 / 257 = 255 exactly.
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    elif pixels.dtype.kind == "f":
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
            raise ImageError("an array of floats must hold values within 0..1; divide by 255, or give uint8")
        pixels = np.rint(pixels.astype(np.float32) * 255).astype(np.uint8)
    elif pixels.dtype != np.uint8:
        raise ImageError(f"an array of {pixels.dtype} is no picture; uint8, uint16, bool and floats within 0..1 are")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return _on_white(picture) if picture.mode == "RGBA" else picture.convert("RGB")


class Pixels(np.ndarray):
    """(H, W, 3) uint8 RGB, read-only, with a digest. Made by `pixels_of`; whatever is computed from it has none."""

    _digest: str | None = None

    @property
    def digest(self) -> str:
        """A digest of shape and pixels, computed at its first use."""
        if self._digest is None:
            self._digest = image_digest(self)
        return self._digest


def pixels_of(picture) -> Pixels:
    """The pixels of whatever `load_image` takes; those of a picture that has been loaded already are returned as they
    are. Raises ImageError for a bad picture."""
    if isinstance(picture, Pixels) and not picture.flags.writeable:
        return picture
    pixels = np.asarray(load_image(picture)).view(Pixels)
    pixels.flags.writeable = False
    return pixels


def digest_of(picture: np.ndarray) -> str:
    """The digest of an (H, W, 3) uint8 picture, which Pixels know and any other array is asked for each time."""
    return picture.digest if isinstance(picture, Pixels) else image_digest(picture)


def image_digest(picture: np.ndarray) -> str:
    """Hashes shape and pixels."""
    digest = hashlib.blake2b(np.ascontiguousarray(picture).data, digest_size=16)
    digest.update(repr(picture.shape).encode())
    return digest.hexdigest()
