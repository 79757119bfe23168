"""Loading pictures from people: one RGB picture, or one sentence that says what is wrong and what is allowed.

`Pixels` are a picture that is loaded once and hashed once however many experts ask for it.
"""

from perception.images.decoding import FORMATS
from perception.images.errors import MAX_ASPECT, MAX_BYTES, MAX_PIXELS, ImageError
from perception.images.loading import load_image
from perception.images.pixels import Pixels, digest_of, image_digest, pixels_of

__all__ = [
    "FORMATS",
    "MAX_ASPECT",
    "MAX_BYTES",
    "MAX_PIXELS",
    "ImageError",
    "Pixels",
    "digest_of",
    "image_digest",
    "load_image",
    "pixels_of",
]
