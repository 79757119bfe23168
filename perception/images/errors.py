"""What is wrong with a picture, in words, and how large one may be."""

MAX_PIXELS = 64_000_000
MAX_BYTES = 64 * 2**20
MAX_ASPECT = 50
ALLOWED = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and JPEG 2000 are read"
SOURCES = "a path, the bytes of a file, a data: URL, a PIL image or a numpy array"


class ImageError(ValueError):
    """A picture that cannot be used; the message is one sentence, which can be printed, for the one who gave it."""

    def __init__(self, message: str):
        super().__init__(printable(message))


def printable(text: str) -> str:
    """The text with whatever is no character of one line, such as half a surrogate pair, written as an escape."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in plain)


def shortened(name: str) -> str:
    """A name as messages show it."""
    return name if len(name) <= 120 else name[:117] + "..."


def check_size(size: tuple[int, int], shown: str) -> None:
    """Raises ImageError for (width, height) that a picture called `shown` must not have."""
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"{shown} has no pixels ({width} x {height}); a picture needs at least one")
    if width * height > MAX_PIXELS:
        raise ImageError(f"{shown} has {width} x {height} pixels, too many; up to {MAX_PIXELS:,} are allowed")
    if max(size) > MAX_ASPECT * min(size):
        raise ImageError(f"{shown} is {width} x {height} pixels; one side may be at most {MAX_ASPECT} times the other")
