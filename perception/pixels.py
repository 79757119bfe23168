"""The pixels of one picture, loaded once and hashed once however many experts ask for them."""

import hashlib

import numpy as np

from perception.images import load_image


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
