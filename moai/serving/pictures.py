"""Pictures of requests: in a data: URL, or behind the address of an allowed host. No file of this machine."""

from moai.serving.fetching import Fetcher
from moai.serving.settings import Settings
from perception.images import ImageError, Pixels, pixels_of


class Pictures:
    """Gets and decodes pictures, within the limits of `settings`."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.fetch = Fetcher(settings.fetch_from, settings.max_body_bytes, settings.fetch_seconds)

    def content(self, url: str) -> str | bytes:
        """What `pixels` takes: the data: URL itself, or what was fetched. Raises ImageError with one sentence."""
        if url[:5].lower() == "data:":
            return url
        if not self.settings.fetch_from:
            raise ImageError("a picture must be in a data: URL (data:image/png;base64,...): nothing is fetched here")
        return self.fetch(url)

    def pixels(self, content: str | bytes) -> Pixels:
        """The decoded picture. Raises ImageError with one sentence."""
        pixels = pixels_of(content)
        height, width = pixels.shape[:2]
        if height * width > self.settings.max_pixels:
            raise ImageError(
                f"the picture has {width} x {height} pixels, too many; up to {self.settings.max_pixels:,} are allowed"
            )
        return pixels
