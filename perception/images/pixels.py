"""A picture that is loaded once and hashed once."""

import hashlib

import numpy as np

from perception.images.loading import load_image

_ROWS = 2**20
"""Pixels that are copied at once."""


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
    image = load_image(picture)
    array = np.empty((image.height, image.width, 3), np.uint8)
    step = max(1, _ROWS // image.width)
    for top in range(0, image.height, step):  # in one piece, the copy would take its room twice
        bottom = min(top + step, image.height)
        array[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    pixels = array.view(Pixels)
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
