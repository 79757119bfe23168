"""Pixels of any kind -> RGB of 8 bits."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from perception.images.errors import ImageError, check_size

_STRIP = 4_000_000
"""Pixels that are worked on at once, since each takes tens of bytes on the way."""
_WHITE_IS_ZERO = 0
_PHOTOMETRIC = 262
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_rgb(picture: Image.Image, shown: str) -> Image.Image:
    """A loaded picture as RGB, upright, on white: always another one than was given."""
    try:
        rgb = _rgb(picture, shown)
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise ImageError(f"{shown} has pixels of a kind that is not read ({picture.mode}); save it as RGB") from error
    turn = _TURNS.get(orientation_of(picture))
    rgb.info = {}
    return rgb if turn is None else rgb.transpose(turn)


def orientation_of(picture: Image.Image) -> int:
    """EXIF's number of how the picture is turned; 1 where that is not known."""
    try:
        found = picture.getexif().get(_ORIENTATION)
    except Exception:  # damaged metadata must not cost the picture
        found = None
    if found is None:
        found = _orientation_in(picture.info.get("exif"))
    return found if isinstance(found, int) else 1


def _orientation_in(exif) -> int | None:
    """The orientation in EXIF data that are damaged elsewhere."""
    if not isinstance(exif, bytes):
        return None
    tiff = exif.removeprefix(b"Exif\0\0")
    order: dict[bytes, str] = {b"II": "little", b"MM": "big"}
    if tiff[:2] not in order:
        return None

    def number(place: int, size: int) -> int:
        return int.from_bytes(tiff[place : place + size], order[tiff[:2]])  # type: ignore[arg-type]

    directory = number(4, 4)
    for place in range(directory + 2, min(directory + 2 + 12 * number(directory, 2), len(tiff) - 11), 12):
        if number(place, 2) == _ORIENTATION and number(place + 2, 2) == 3:
            return number(place + 8, 2)
    return None


def _rgb(picture: Image.Image, shown: str) -> Image.Image:
    if picture.mode.startswith(("I", "F")):
        return from_array(_deep_grey(picture, shown))
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or picture.has_transparency_data:
        rgb = Image.new("RGB", picture.size)
        for top, bottom in _strips(picture):
            strip = picture.crop((0, top, picture.width, bottom))
            # Pillow knows no direct way from La to RGBA.
            strip = strip.convert("LA") if strip.mode == "La" else strip
            rgb.paste(_on_white(strip.convert("RGBA")), (0, top))
        return rgb
    return picture.convert("RGB")


def _strips(picture: Image.Image) -> Iterator[tuple[int, int]]:
    step = max(1, _STRIP // picture.width)
    for top in range(0, picture.height, step):
        yield top, min(top + step, picture.height)


def _on_white(picture: Image.Image) -> Image.Image:
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def _deep_grey(picture: Image.Image, shown: str) -> np.ndarray:
    """(H, W) uint8 of a picture with more than 8 bits a pixel."""
    values = np.asarray(picture)
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        if low >= 0 and high <= 1:
            grey = (values * 255).round().astype(np.uint8)
        elif low >= 0 and high <= 255:
            grey = values.round().astype(np.uint8)
        else:
            raise ImageError(f"{shown} has floating-point pixels outside of 0..1 and 0..255; scale them first")
    else:
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise ImageError(f"{shown} has 32-bit pixels outside of 0..65535; scale them to 8 or 16 bits first")
        # Pillow has 32 bits for all integers that are not exactly 16 bits wide; its PNG and PPM are always of 16.
        narrow = values.dtype.itemsize == 4 and high <= 255 and picture.format not in ("PNG", "PPM")
        grey = values.astype(np.uint8) if narrow else _eight_bits(values)
    if getattr(picture, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        grey = 255 - grey
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        grey[values == clear] = 255
    return grey


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Whole numbers of 0..65535 as uint8; 65535 / 257 = 255 exactly."""
    scaled = np.empty(values.shape, np.uint8)
    step = max(1, _STRIP // max(values[0].size, 1))
    for top in range(0, len(values), step):
        scaled[top : top + step] = (values[top : top + step].astype(np.uint32) + 128) // 257
    return scaled


def from_array(pixels: np.ndarray) -> Image.Image:
    """An array as `load_image` takes it, as an RGB picture; raises ImageError for others."""
    shape = " x ".join(map(str, pixels.shape)) or "no dimension"
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)):
        raise ImageError(f"an array of shape {shape} is no picture; (H, W), (H, W, 3) RGB or (H, W, 4) RGBA is")
    check_size((pixels.shape[1], pixels.shape[0]), "the array")
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    elif pixels.dtype.kind == "u" and pixels.dtype.itemsize == 2:
        pixels = _eight_bits(pixels)
    elif pixels.dtype.kind == "f":
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
            raise ImageError("an array of floats must hold values within 0..1; divide by 255, or give uint8")
        pixels = np.rint(pixels.astype(np.float32) * 255).astype(np.uint8)
    elif pixels.dtype != np.uint8:
        raise ImageError(f"an array of {pixels.dtype} is no picture; uint8, uint16, bool and floats within 0..1 are")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return _rgb(picture, "the array")
